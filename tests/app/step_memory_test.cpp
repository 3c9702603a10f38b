// Steps after the first few take no memory from the system: what they use is used again.
#include <sys/resource.h>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

class StepMemoryTest : public AppTest {
 protected:
  // Pages that a run of so many epochs has had from the system, its own and the launcher's.
  long page_faults(int epochs) const {
    const std::string name = "run" + std::to_string(epochs);
    rusage before{}, after{};
    ::getrusage(RUSAGE_CHILDREN, &before);
    train_well(name, {"train.epochs=" + std::to_string(epochs), "eval.every_epochs=0",
                      "checkpoint.every_epochs=0", "report.every_steps=1000", "report.tensorboard=false"});
    ::getrusage(RUSAGE_CHILDREN, &after);
    return after.ru_minflt - before.ru_minflt;
  }
};

TEST_F(StepMemoryTest, StepsAfterWarmUpTakeHardlyAPageFromTheSystem) {
  page_faults(1);  // the set is written, the program in the page cache
  const long few = page_faults(4), many = page_faults(54);
  constexpr double kSteps = 50.0 * kStepsPerEpoch;
  // A step of the small network works on 1.5 MB, some 400 pages.
  EXPECT_LT(static_cast<double>(many - few) / kSteps, 10) << few << " and " << many << " page faults";
}

}  // namespace
}  // namespace rn::app_testing
