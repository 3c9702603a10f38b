// Scalars for TensorBoard: an events file that its reader opens while the run goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/append_file.h"
#include "report/records.h"
#include "report/tensorboard_event.h"

namespace rn::report {

// What a record shows in TensorBoard: train/..., speed/..., epoch/..., <split>/<weights>/...
std::vector<Scalar> scalars_of(const StepRecord& record);
std::vector<Scalar> scalars_of(const EpochRecord& record);
std::vector<Scalar> scalars_of(const EvalRecord& record);
std::vector<Scalar> scalars_of(const RoundRecord& record);
std::vector<Scalar> scalars_of(const PersonalRecord& record);

// Never throws because of the file (see AppendFile). Not thread-safe.
class TensorboardWriter {
 public:
  // Creates `directory`/events.out.tfevents.<time>.<host>.<pid>. The directory must exist. A resumed run
  // writes a file of its own, which makes readers drop what earlier files say of steps after `resume_step` (<
  // 0: a fresh run).
  TensorboardWriter(const std::string& directory, std::int64_t resume_step);

  const std::string& path() const { return file_.path(); }

  template <typename Record>
  void write(const Record& record) {
    write_scalars(record.at.step, scalars_of(record));
  }

 private:
  void write_scalars(std::int64_t step, const std::vector<Scalar>& scalars);

  AppendFile file_;
};

}  // namespace rn::report
