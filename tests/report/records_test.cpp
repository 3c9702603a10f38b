#include "report/records.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rn::report {
namespace {

TEST(RecordsTest, AStepRecordHoldsTheContractsFields) {
  StepRecord record;
  record.at = {150, 0.375};
  record.loss = 1.25;
  record.top1 = 50.5;
  record.lr = 0.1;
  record.images_per_second = 2000;
  record.data_wait_ms = 0.5;
  record.comm_wait_ms = 2;
  EXPECT_EQ(dump(to_json(record, 12.5)),
            R"({"event":"step","step":150,"epoch":0.375,"loss":1.25,"top1":50.5,"lr":0.1,)"
            R"("images_per_second":2000.0,"data_wait_ms":0.5,"comm_wait_ms":2.0,"elapsed_seconds":12.5})");
  record.grad_norm = 3.5;
  record.loss_scale = 65536;
  const Json full = to_json(record, 0);
  EXPECT_EQ(full.at("grad_norm"), 3.5);
  EXPECT_EQ(full.at("loss_scale"), 65536);
}

TEST(RecordsTest, EpochAndEvalRecordsHoldTheContractsFields) {
  EXPECT_EQ(
      dump(to_json(EpochRecord{{391, 1}, 1.5, 45.25, 0.05, 30})),
      R"({"event":"epoch","step":391,"epoch":1.0,"train_loss":1.5,"train_top1":45.25,"lr":0.05,"seconds":30.0})");
  EXPECT_EQ(
      dump(to_json(EvalRecord{{391, 1}, "test", "ema", 60.5, 95.25, 1.125, 10000, 4})),
      R"({"event":"eval","step":391,"epoch":1.0,"split":"test","weights":"ema","top1":60.5,"top5":95.25,)"
      R"("loss":1.125,"n":10000,"seconds":4.0})");
}

TEST(RecordsTest, NonFiniteNumbersAreNullWithTheirTextBesideThem) {
  StepRecord record;
  record.loss = std::numeric_limits<double>::quiet_NaN();
  record.lr = std::numeric_limits<double>::infinity();
  record.grad_norm = -std::numeric_limits<double>::infinity();  // below 0: not computed
  record.top1 = -std::numeric_limits<double>::infinity();
  const auto json = nlohmann::json::parse(dump(to_json(record, 0)));
  EXPECT_TRUE(json.at("loss").is_null());
  EXPECT_EQ(json.at("loss_text"), "nan");
  EXPECT_EQ(json.at("lr_text"), "inf");
  EXPECT_EQ(json.at("top1_text"), "-inf");
  EXPECT_FALSE(json.contains("grad_norm"));
  EXPECT_FALSE(json.contains("images_per_second_text"));
  record.grad_norm = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(to_json(record, 0).at("grad_norm_text"), "nan");
}

TEST(RecordsTest, NumberAtReadsWhatPutNumberWrote) {
  Json json;
  put_number(json, "finite", 2.5);
  put_number(json, "nan", std::nan(""));
  EXPECT_EQ(number_at(json, "finite"), 2.5);
  EXPECT_TRUE(std::isnan(number_at(json, "nan")));
  EXPECT_TRUE(std::isnan(number_at(json, "absent")));
}

TEST(RecordsTest, BytesThatAreNoUtf8DoNotLoseTheRecord) {
  Json json;
  json["host"] = "caf\xe9";
  EXPECT_EQ(dump(json), "{\"host\":\"caf\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace rn::report
