// Which of two epochs is selected, and when training ends without one that is better.
#ifndef CMERC_TRAINING_SELECTION_H_
#define CMERC_TRAINING_SELECTION_H_

#include "calibration/curriculum.h"

namespace cmerc {

// Whether a SelectionScore() (storage/selection_score.h) is higher than that of the best epoch
// before. With `rounded`, which goes with weighted F1, both are rounded to hundredths of a percent
// first, as the official code's round(f1 * 100, 2) does, halves to the even one.
bool IsBetter(double score, double best, bool rounded);

// The first epoch, from 1, that trains on all `conversations` of the training split; epochs + 1
// where none of so many does.
int FirstEpochOfAll(const Curriculum& curriculum, size_t conversations, int epochs);

// For how many epochs training has waited in vain for a better one than `selected_epoch`, after
// `epochs` of them: those before `first_of_all`, which a curriculum keeps conversations from, do
// not count.
int EpochsWaited(int epochs, int selected_epoch, int first_of_all);

}  // namespace cmerc

#endif  // CMERC_TRAINING_SELECTION_H_
