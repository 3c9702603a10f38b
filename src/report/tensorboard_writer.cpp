#include "report/tensorboard_writer.h"

#include <unistd.h>

#include <chrono>
#include <cstdint>

#include "core/error.h"
#include "core/host_name.h"

namespace rn::report {
namespace {

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

AppendFile create_events_file(const std::string& directory, double now) {
  const std::string name = cat(directory, "/events.out.tfevents.", static_cast<std::int64_t>(now), ".",
                               host_name(), ".", ::getpid());
  AppendFile file(name, AppendFile::Open::kNewOnly);
  // A second report of one process within one second.
  for (int i = 1; !file.is_open() && ::access(file.path().c_str(), F_OK) == 0 && i < 100; ++i) {
    file = AppendFile(cat(name, ".", i), AppendFile::Open::kNewOnly);
  }
  return file;
}

}  // namespace

std::vector<Scalar> scalars_of(const StepRecord& record) {
  std::vector<Scalar> scalars = {
      {"train/loss", record.loss},
      {"train/top1", record.top1},
      {"train/lr", record.lr},
      {"speed/images_per_second", record.images_per_second},
      {"speed/data_wait_ms", record.data_wait_ms},
      {"speed/comm_wait_ms", record.comm_wait_ms},
  };
  if (!(record.grad_norm < 0)) scalars.push_back({"train/grad_norm", record.grad_norm});
  if (record.loss_scale != 0) scalars.push_back({"train/loss_scale", record.loss_scale});
  return scalars;
}

std::vector<Scalar> scalars_of(const EpochRecord& record) {
  return {{"epoch/train_loss", record.train_loss},
          {"epoch/train_top1", record.train_top1},
          {"epoch/lr", record.lr},
          {"epoch/seconds", record.seconds}};
}

std::vector<Scalar> scalars_of(const EvalRecord& record) {
  const std::string prefix = cat(record.split, "/", record.weights, "/");
  return {{prefix + "top1", record.top1}, {prefix + "top5", record.top5}, {prefix + "loss", record.loss}};
}

std::vector<Scalar> scalars_of(const RoundRecord& record) {
  std::vector<Scalar> scalars = {{"round/train_loss", record.train_loss},
                                 {"round/clients", static_cast<double>(record.clients)},
                                 {"round/local_lr", record.local_lr},
                                 {"round/update_norm", record.update_norm},
                                 {"round/mean_update_norm", record.mean_update_norm},
                                 {"round/simulated_seconds", record.simulated_seconds},
                                 {"speed/images_per_second", record.images_per_second},
                                 {"speed/round_seconds", record.seconds},
                                 {"speed/idle_share", record.idle_share}};
  if (!(record.staleness < 0)) scalars.push_back({"round/staleness", record.staleness});
  if (record.clip > 0) scalars.push_back({"round/clip", record.clip});
  if (!(record.epsilon < 0)) scalars.push_back({"round/epsilon", record.epsilon});
  return scalars;
}

std::vector<Scalar> scalars_of(const PersonalRecord& record) {
  const std::string prefix = record.tuned_epochs > 0 ? "clients/tuned/" : "clients/";
  return {{prefix + "mean", record.mean}, {prefix + "worst_tenth", record.worst_tenth}};
}

TensorboardWriter::TensorboardWriter(const std::string& directory, std::int64_t resume_step) {
  const double now = wall_time();
  file_ = create_events_file(directory, now);
  file_.append(tf_record(version_event(now)));
  if (resume_step >= 0) file_.append(tf_record(restart_event(now, resume_step + 1)));
}

void TensorboardWriter::write_scalars(std::int64_t step, const std::vector<Scalar>& scalars) {
  file_.append(tf_record(scalar_event(wall_time(), step, scalars)));
}

}  // namespace rn::report
