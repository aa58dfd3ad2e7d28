#include "tidewheel/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <limits>
#include <sstream>
#include <thread>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"

namespace tidewheel::log {
namespace {

using ::testing::HasSubstr;

std::string Line(std::string_view sentence, const std::vector<Field>& fields,
                 const Trace& trace = {}) {
  return FormatLine(Timestamp{}, Level::kInfo, "ingestion", sentence, fields, trace);
}

simdjson::dom::element Parsed(simdjson::dom::parser& parser, const std::string& line) {
  simdjson::dom::element element;
  const auto failure = parser.parse(line).get(element);
  EXPECT_EQ(failure, simdjson::SUCCESS) << line;
  return element;
}

TEST(LogTest, ALineIsOneJsonObjectWithItsFields) {
  struct Tag;
  const StrongId<Tag> id("s-1");
  const std::string line =
      Line("batch ingested",
           {{"id", id},
            {"count", 3},
            {"large", std::numeric_limits<std::uint64_t>::max()},
            {"share", 0.25},
            {"ok", true},
            {"wait_seconds", std::chrono::milliseconds(1'500)},
            {"digest", Digest{}},
            {"names", std::vector<std::string>{"a", "b"}},
            {"error", ::tidewheel::Error{ErrorCode::kNotFound, "no such task"}},
            {"nan", std::numeric_limits<double>::quiet_NaN()}},
           {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", true, "r-1"});

  EXPECT_EQ(line, R"({"ts":"1970-01-01T00:00:00.000000Z","level":"info","service":"ingestion",)"
                  R"("msg":"batch ingested","id":"s-1","count":3,"large":18446744073709551615,)"
                  R"("share":0.25,"ok":true,"wait_seconds":1.5,"digest":")" +
                      std::string(64, '0') +
                      R"(","names":["a","b"],"error":"NOT_FOUND: no such task","nan":"NaN",)"
                      R"("trace_id":"0af7651916cd43dd8448eb211c80319c","request_id":"r-1"})");
  simdjson::dom::parser parser;
  Parsed(parser, line);
}

TEST(LogTest, AnyBytesBecomeValidJson) {
  Random random(7);
  simdjson::dom::parser parser;
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes;
    const auto size = random.Below(40);
    for (std::uint64_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random.Below(256)));
    const std::string line = Line(bytes, {{bytes, bytes}});
    Parsed(parser, line);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(LogTest, ValidTextComesBackAsItWas) {
  simdjson::dom::parser parser;
  for (const std::string text : {"a\"b\\c\n\t\x01", "grün", "日本", "🚦", ""}) {
    const auto element = Parsed(parser, Line("x", {{"t", text}}));
    EXPECT_EQ(std::string(element["t"].get_string().value()), text);
  }
}

TEST(LogTest, EachBadByteIsReplaced) {
  EXPECT_EQ(JsonQuoted("a\xff\xfe"), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(JsonQuoted("\xC3"), "\"\xEF\xBF\xBD\"");                                  // Cut short.
  EXPECT_EQ(JsonQuoted("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");                  // Overlong.
  EXPECT_EQ(JsonQuoted("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");  // Surrogate.
}

/// What a function writes to the process's stderr.
template <typename F>
std::vector<std::string> Written(F&& write) {
  ::testing::internal::CaptureStderr();
  write();
  std::istringstream stream(::testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(LogTest, LinesBelowTheLevelAreNotWritten) {
  Initialise("test", Level::kWarning);
  const auto lines = Written([] {
    Info("no");
    Warning("yes", {{"n", 1}});
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr(R"("level":"warning","service":"test","msg":"yes","n":1})"));
}

TEST(LogTest, TheEnvironmentSetsTheLevel) {
  setenv("TIDEWHEEL_LOG_LEVEL", "debug", 1);
  Initialise("test", Level::kError);
  EXPECT_TRUE(Enabled(Level::kDebug));
  setenv("TIDEWHEEL_LOG_LEVEL", "loud", 1);
  Initialise("test", Level::kError);
  EXPECT_FALSE(Enabled(Level::kWarning));
  unsetenv("TIDEWHEEL_LOG_LEVEL");
  EXPECT_FALSE(ParseLevel("loud"));
}

TEST(LogTest, FatalLogsTheErrorAndGivesOne) {
  Initialise("test");
  int code = 0;
  const auto lines = Written([&] {
    code = Fatal({ErrorCode::kUnavailable, "port 1 cannot be bound"});
  });
  EXPECT_EQ(code, 1);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr(R"("code":"UNAVAILABLE","error":"port 1 cannot be bound")"));
}

TEST(LogTest, LinesOfManyThreadsStayWhole) {
  Initialise("test");
  const auto lines = Written([] {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        const Context context(NewTrace());
        for (int i = 0; i < 250; ++i)
          Info("line", {{"t", t}, {"i", i}, {"pad", std::string(200, 'x')}});
      });
    }
  });
  EXPECT_EQ(lines.size(), 1'000U);
  simdjson::dom::parser parser;
  for (const auto& line : lines) Parsed(parser, line);
}

TEST(TraceTest, ATraceParentReadsBackAsWritten) {
  const std::string header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto trace = ParseTraceParent(header);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_TRUE(trace->sampled);
  EXPECT_EQ(FormatTraceParent(*trace), header);
  for (int i = 0; i < 100; ++i) {
    const Trace fresh = NewTrace();
    EXPECT_EQ(ParseTraceParent(FormatTraceParent(fresh)), fresh);
  }
}

TEST(TraceTest, WhatIsNoTraceParentIsRefused) {
  for (const char* header : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                             "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                             "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                             "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g"}) {
    EXPECT_FALSE(ParseTraceParent(header).has_value()) << header;
  }
  EXPECT_TRUE(ParseTraceParent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
}

TEST(TraceTest, AStepKeepsTheTraceAndHasItsOwnSpan) {
  const Trace first = NewTrace();
  const Trace next = NextStep(first);
  EXPECT_EQ(next.trace_id, first.trace_id);
  EXPECT_NE(next.span_id, first.span_id);
  EXPECT_EQ(NextStep(Trace{}).trace_id.size(), 32U);
}

TEST(TraceTest, ContextsNestAndEnd) {
  EXPECT_TRUE(CurrentTrace().trace_id.empty());
  {
    const Context outer({"a", "1", true, ""});
    {
      const Context inner({"b", "2", true, ""});
      EXPECT_EQ(CurrentTrace().trace_id, "b");
    }
    EXPECT_EQ(CurrentTrace().trace_id, "a");
    std::jthread([] { EXPECT_TRUE(CurrentTrace().trace_id.empty()); }).join();
  }
  EXPECT_TRUE(CurrentTraceParent().empty());
}

TEST(TraceTest, AContextThatEndsOnAnotherThreadLeavesThatOnesTraceAlone) {
  auto context = std::make_unique<Context>(Trace{"a", "1", true, ""});
  std::jthread([&] {
    const Context other({"b", "2", true, ""});
    context.reset();
    EXPECT_EQ(CurrentTrace().trace_id, "b");
  }).join();
  const Context cleanup(Trace{});
}

}  // namespace
}  // namespace tidewheel::log
