// Which of two epochs is selected.
#ifndef CMERC_TRAINING_SELECTION_H_
#define CMERC_TRAINING_SELECTION_H_

namespace cmerc {

// Whether a weighted F1 in [0, 1] is higher than that of the best epoch before. With `rounded` both
// are rounded to hundredths of a percent first, as the official code's round(f1 * 100, 2) does,
// halves to the even one.
bool IsBetter(double score, double best, bool rounded);

}  // namespace cmerc

#endif  // CMERC_TRAINING_SELECTION_H_
