#include "federated/secure_mean.h"

#include <optional>
#include <span>

#include "core/error.h"

namespace rn::federated {
namespace {

class SecureMean final : public Aggregator {
 public:
  SecureMean(const model::FlatParameters& params, Communicator& communicator, std::uint64_t seed)
      : size_(params.layout().size()), host_(communicator.host()), seed_(seed) {}

  void begin(std::int64_t round, const std::vector<std::int64_t>& clients) override {
    clients_ = clients;
    masks_.emplace(seed_, round, clients);
    codec_.emplace(kSecureBound, static_cast<std::int64_t>(clients.size()));
    sum_.assign(static_cast<std::size_t>(size_), 0);
  }

  // Scaled to the order of the update itself, since the field's resolution is fixed.
  void add(std::size_t place, const torch::Tensor& update, double weight) override {
    const torch::Tensor host = update.detach().to(torch::kCPU, torch::kFloat32);
    field_.resize(sum_.size());
    codec_->encode({host.const_data_ptr<float>(), sum_.size()}, weight * static_cast<double>(clients_.size()),
                   field_);
    masks_->mask(clients_[place], field_);
    add_in_field(sum_, field_);
  }

  void finish(const RoundTable& table, double scale, torch::Tensor& out) override {
    std::vector<std::int64_t> answered;
    for (std::size_t place = 0; place < clients_.size(); ++place) {
      if (table.report(place).counts) answered.push_back(clients_[place]);
    }
    if (!masks_->recoverable(static_cast<std::int64_t>(answered.size()))) {
      throw Error(ExitCode::kFailure,
                  cat("secure aggregation: ", answered.size(), " of ", clients_.size(), " clients answered, ",
                      masks_->threshold(),
                      " are needed to take the masks off. Lower federated.dropout, or see "
                      "why updates are left out."));
    }
    // Sums of field elements over the ranks as wide integers, then back into the field.
    std::vector<std::int64_t> wide(sum_.begin(), sum_.end());
    host_.all_reduce(bytes_of(std::span(wide)), DType::kI64).wait();
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] = static_cast<std::uint32_t>(wide[i] % kFieldPrime);
    masks_->unmask(answered, sum_);
    auto joined = torch::empty({size_}, torch::kFloat64);
    codec_->decode(sum_, {joined.data_ptr<double>(), sum_.size()});
    out.copy_(joined.mul_(scale / static_cast<double>(clients_.size())));
  }

 private:
  const std::int64_t size_;
  Communicator& host_;
  const std::uint64_t seed_;
  std::vector<std::int64_t> clients_;
  std::optional<SecureRound> masks_;
  std::optional<FieldCodec> codec_;
  std::vector<std::uint32_t> sum_, field_;
};

}  // namespace

std::unique_ptr<Aggregator> make_secure_mean(const model::FlatParameters& params, Communicator& communicator,
                                             std::uint64_t seed) {
  return std::make_unique<SecureMean>(params, communicator, seed);
}

}  // namespace rn::federated
