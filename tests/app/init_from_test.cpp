// model.init_from: starting from a file of weights that fit wholly, partly or not at all.
#include "app_fixture.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace rn::app_testing {
namespace {

class InitFromTest : public AppTest {
 protected:
  // The weights of `run` with a head of `classes` classes, as from a set with fewer of them.
  void write_with_classes(const std::string& run, std::int64_t classes, const std::string& name) const {
    auto& files = io::posix_file_system();
    auto weights = io::read_safetensors(files, path(run + "/model.safetensors"));
    for (auto& tensor : weights.tensors) {
      if (!tensor.name.starts_with("fc.")) continue;
      tensor.bytes = tensor.bytes.first(tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]) *
                                        static_cast<std::size_t>(classes));
      tensor.shape[0] = classes;
    }
    io::write_file_atomically(files, path(name), [&](io::WritableFile& file) {
      io::write_safetensors(file, weights.tensors, {{"format", "pt"}});
    });
  }
};

TEST_F(InitFromTest, StartsFromTheWeightsOfAnotherRun) {
  train_well("first", {"train.epochs=8"});
  for (const int ranks : {0, 2}) {
    const auto result =
        train_well(cat("second", ranks),
                   {"model.init_from=first/model.safetensors", "optimizer.lr=0", "train.max_steps=1"}, ranks);
    EXPECT_NE(result.text().find("loaded"), std::string::npos) << result.text();
    // A rate of 0 leaves the weights as they were.
    auto& files = io::posix_file_system();
    const auto ours = io::read_safetensors(files, path(cat("second", ranks, "/model.safetensors")));
    const auto theirs = io::read_safetensors(files, path("first/model.safetensors"));
    for (const auto& tensor : theirs.tensors) {
      if (!tensor.name.ends_with("weight")) continue;
      const auto* other = ours.find(tensor.name);
      ASSERT_NE(other, nullptr);
      EXPECT_TRUE(
          std::equal(tensor.bytes.begin(), tensor.bytes.end(), other->bytes.begin(), other->bytes.end()))
          << tensor.name;
    }
  }
}

TEST_F(InitFromTest, AnotherNumberOfClassesKeepsItsFreshHeadAndSaysSo) {
  train_well("first");
  write_with_classes("first", 5, "five.safetensors");
  const auto result = train_well("second", {"model.init_from=five.safetensors", "train.max_steps=1"});
  EXPECT_NE(result.text().find("1 of another shape: fc.weight ([5, 32] in the file, [10, 32] here)"),
            std::string::npos)
      << result.text();
}

TEST_F(InitFromTest, AFileWithNothingForTheModelIsRefused) {
  train_well("first");
  const auto wide = call(train("second", {"model.width=8", "model.init_from=first/model.safetensors"}));
  EXPECT_EQ(wide.code, 4) << wide.text();
  EXPECT_NE(wide.err.find("first/model.safetensors has nothing for this model"), std::string::npos)
      << wide.err;
  EXPECT_NE(wide.err.find("more"), std::string::npos) << wide.err;
  EXPECT_LT(wide.err.size(), 1500u) << "a wall of names buries the message";
  const auto text = call(train("third", {"model.init_from=c.yaml"}));
  EXPECT_EQ(text.code, 4) << text.text();
  EXPECT_NE(text.err.find("c.yaml is not a valid safetensors file"), std::string::npos) << text.err;
  const auto missing = call(train("fourth", {"model.init_from=nothing.safetensors"}), 2);
  EXPECT_EQ(missing.code, 4) << missing.text();
  EXPECT_NE(missing.err.find("nothing.safetensors"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace rn::app_testing
