// Views: the same batch with one source of evidence removed.
#ifndef CMERC_CALIBRATION_VIEWS_H_
#define CMERC_CALIBRATION_VIEWS_H_

#include "config/run.pb.h"
#include "core/batch.h"
#include "core/view.h"

namespace cmerc {

// A modality view replaces every utterance's features of that modality by their mean over the
// conversation (where Batch::scope is kPast, over the utterances up to this one, whatever
// `masked_mean` says); a context view clears the entries of `context` between different utterances
// of the same speaker, or between utterances of different speakers; `evidence` says which is gone.
// Everything else is shared with `batch`, not copied. `view` names a modality of the batch.
//
// Source: train_cm.py ("mask multimodal data") and model_hyper.py (create_gnn_index, mask_context).
Batch ApplyView(const Batch& batch, const View& view, CalibrationConfig::MaskedMean masked_mean);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_VIEWS_H_
