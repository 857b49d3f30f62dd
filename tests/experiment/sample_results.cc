#include "tests/experiment/sample_results.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace cmerc {

ExperimentResults SampleResults() {
  ExperimentResults results;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        rows {
          dataset: "toy"
          variant: "gru \"small\""
          base_variant: "gru \"small\""
          calibrated { value: true }
          protocol: "HELD_OUT (the validation split selects the epoch)"
          seeds: 1
          seeds: 2
          weighted_f1 {
            mean: 0.5
            standard_deviation: 0.125
            low { value: 0.375 }
            high { value: 0.625 }
          }
          accuracy {
            mean: 0.25
            low { value: 0.25 }
            high { value: 0.25 }
          }
          macro_f1 { mean: 0.75 }
          classes {
            name: "joy"
            f1 {
              mean: 0.5
              standard_deviation: 0.25
              low { value: 0.25 }
              high { value: 0.75 }
            }
          }
          classes {
            name: "fear & 50 %"
            f1 { mean: 0.125 }
          }
          views {
            view: "text"
            share_surer_without { mean: 0.5 }
            share_surer_without_scaled { mean: 0.25 }
          }
          evidence {
            measure: "mean_share_surer_without"
            statistic {
              mean: 0.375
              standard_deviation: 0.125
              low { value: 0.25 }
              high { value: 0.5 }
            }
          }
          evidence {
            measure: "mean_log_prob_gain"
            statistic { mean: 0.3125 }
          }
          calibration {
            ece {
              mean: 0.125
              standard_deviation: 0.0625
              low { value: 0 }
              high { value: 0.25 }
            }
            nll { mean: 1.5 }
            brier { mean: 0.5 }
            e_aurc { mean: 0.0625 }
            ece_floor { mean: 0.03125 }
            ece_error { mean: 0.015625 }
          }
          calibration_scaled {
            ece { mean: 0.03125 }
            nll { mean: 1.25 }
            brier { mean: 0.5 }
            e_aurc { mean: 0.0625 }
          }
          comparison {
            baseline: "plain"
            seeds: 2
            difference { mean: 0.0625 }
            p_value: 0.5
            p_value_holm: 0.75
            over_conversations {
              conversations: 10
              utterances: 100
              p_value: 0.03125
              p_value_holm: 0.0625
              low { value: 0.01 }
              high { value: 0.115 }
            }
            measures {
              measure: "ece"
              difference { mean: -0.03125 }
              p_value: 0.25
              p_value_holm: 0.625
              over_conversations {
                p_value: 0.015625
                p_value_holm: 0.046875
                low { value: -0.0625 }
                high { value: 0 }
              }
            }
            measures {
              measure: "nll"
              difference { mean: 0.1875 }
              p_value: 0.75
              p_value_holm: 1
              over_conversations {
                p_value: 0.5
                p_value_holm: 0.5
                low { value: -0.125 }
                high { value: 0.5 }
              }
            }
            measures {
              measure: "share_surer_without_same_speaker"
              difference { mean: -0.25 }
              p_value: 0.5
              p_value_holm: 1
            }
          }
        }
        remarks: "toy/other: not compared with plain: their classes differ"
        failed_runs: "toy/gru/seed-3: exit status 1: no memory"
        versions: "cmerc 0.2.0; libtorch 1.13.1"
      )pb",
      &results));
  return results;
}

}  // namespace cmerc
