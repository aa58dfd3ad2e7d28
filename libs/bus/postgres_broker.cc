#include "tidewheel/bus/postgres_broker.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/fair_share.h"
#include "tidewheel/bus/migrations.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/bootstrap.h"
#include "tidewheel/postgres/listener.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::bus {
namespace {

using postgres::BigintArray;
using postgres::ByteaArray;
using postgres::IntegerArray;
using postgres::TextArray;
using postgres::TimestampArray;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kEventsChannel[] = "bus_events";  // Payload: the topic.
constexpr char kGroupsChannel[] = "bus_groups";  // Payload: the group; empty: all.
constexpr std::size_t kAppendAtMost = 2'000;     // Messages in one transaction.
constexpr std::size_t kAppendBytes = 8u << 20;
constexpr milliseconds kRetryPause{100};
constexpr std::size_t kConnections = 4;
constexpr int kRemoveAtOnce = 10'000;

std::string NameOf(const std::string& topic, int partition) {
  return topic + "/" + std::to_string(partition);
}

/// The rows of bus.partitions that one topic has, by partition.
using PartitionIds = std::vector<int>;

/// Names to ids. Topics never lose a partition, so what was found stays true. Thread-safe.
class TopicMap {
 public:
  explicit TopicMap(postgres::Pool& pool) : pool_(pool) {}

  /// kNotFound: no such topic.
  Result<PartitionIds> Find(const std::string& topic) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = known_.find(topic); found != known_.end()) return found->second;
    }
    auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<PartitionIds> {
      PartitionIds ids;
      for (const auto& row :
           tx.exec_params("SELECT id FROM partitions WHERE topic = $1 ORDER BY partition", topic)) {
        ids.push_back(row[0].as<int>());
      }
      return ids;
    });
    if (!read) return read;
    if (read->empty()) return Error{ErrorCode::kNotFound, "bus: no topic " + topic};
    const std::lock_guard lock(mutex_);
    known_[topic] = *read;
    return read;
  }

  void Forget() {
    const std::lock_guard lock(mutex_);
    known_.clear();
  }

 private:
  postgres::Pool& pool_;
  std::mutex mutex_;  // Guards known_.
  std::map<std::string, PartitionIds> known_;
};

class PostgresPublisher final : public Publisher {
 public:
  PostgresPublisher(postgres::Pool& pool, TopicMap& topics, std::string source,
                    milliseconds timeout)
      : pool_(pool), topics_(topics), source_(std::move(source)), timeout_(timeout) {}

  Result<void> Publish(std::span<const Message> messages) override {
    const auto deadline = steady_clock::now() + timeout_;
    while (!messages.empty()) {
      std::size_t count = 0;
      std::size_t bytes = 0;
      while (count < messages.size() && count < kAppendAtMost && bytes < kAppendBytes) {
        bytes += messages[count++].payload.size();
      }
      // A server that restarts is back in seconds: as patient as Kafka's client. A commit of
      // unknown outcome is repeated too; consumers recognise the event ids.
      auto appended = Append(messages.first(count));
      while (!appended && appended.error().code == ErrorCode::kUnavailable &&
             steady_clock::now() + kRetryPause < deadline) {
        Pause().Wait({}, kRetryPause);
        appended = Append(messages.first(count));
      }
      if (!appended) return Prefixed("publish: ", appended.error());
      messages = messages.subspan(count);
    }
    return {};
  }

 private:
  Result<void> Append(std::span<const Message> messages) {
    IntegerArray partitions;
    TextArray keys;
    TextArray event_ids;
    TextArray types;
    TextArray sources;
    TimestampArray times;
    IntegerArray versions;
    TextArray traceparents;
    TextArray headers;
    ByteaArray payloads;
    const Timestamp now = SystemClock().Now();
    for (const Message& message : messages) {
      const auto ids = topics_.Find(message.topic);
      if (!ids) return ids.error();
      const std::string event_id = message.event_id.empty() ? NewUuid() : message.event_id;
      partitions.Add(
          (*ids)[PartitionOf(message.key.empty() ? event_id : message.key, ids->size())]);
      keys.Add(message.key);
      event_ids.Add(event_id);
      types.Add(message.type);
      sources.Add(message.source.empty() ? source_ : message.source);
      times.Add(message.time == Timestamp{} ? now : message.time);
      versions.Add(message.schema_version);
      traceparents.Add(message.traceparent);
      postgres::ArrayLiteral list;
      for (const auto& [name, value] : message.headers) {
        list.AddText(std::string_view(name));
        list.AddText(std::string_view(value));
      }
      headers.Add(list.text());
      payloads.Add(message.payload);
    }
    return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params(
          "SELECT append($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[],"
          " $6::timestamptz[], $7::integer[], $8::text[], $9::text[], $10::bytea[])",
          partitions.Parameter(), keys.Parameter(), event_ids.Parameter(), types.Parameter(),
          sources.Parameter(), times.Parameter(), versions.Parameter(), traceparents.Parameter(),
          headers.Parameter(), payloads.Parameter());
      return {};
    });
  }

  static std::size_t PartitionOf(const std::string& key, std::size_t partitions) {
    return StableHash(key) % partitions;
  }

  postgres::Pool& pool_;
  TopicMap& topics_;
  const std::string source_;
  const milliseconds timeout_;
};

/// Who is to be woken by a notification.
class Sleeper {
 public:
  virtual ~Sleeper() = default;
  virtual void Hear(const postgres::Notification& notification) = 0;
};

/// One listening connection for all subscriptions of a broker. Thread-safe.
class Ear {
 public:
  explicit Ear(std::string dsn) : dsn_(std::move(dsn)) {}

  void Add(Sleeper* sleeper) {
    const std::lock_guard lock(mutex_);
    sleepers_.insert(sleeper);
    if (worker_ == nullptr) {
      worker_ = std::make_unique<Worker>("bus-listen", [this](std::stop_token stop) { Run(stop); });
    }
  }
  /// After this the sleeper hears nothing more.
  void Remove(Sleeper* sleeper) {
    const std::lock_guard lock(mutex_);
    sleepers_.erase(sleeper);
  }

 private:
  void Run(std::stop_token stop) {
    postgres::Listener listener(dsn_, {kEventsChannel, kGroupsChannel}, "tidewheel-bus");
    while (!stop.stop_requested()) {
      // An error is not lost: those who wait look by themselves, and it is then theirs to report.
      const auto heard = listener.Wait(stop, milliseconds{5'000});
      if (!heard) continue;
      const std::lock_guard lock(mutex_);
      for (const auto& notification : *heard) {
        for (Sleeper* sleeper : sleepers_) sleeper->Hear(notification);
      }
    }
  }

  const std::string dsn_;
  std::mutex mutex_;  // Guards sleepers_.
  std::set<Sleeper*> sleepers_;
  std::unique_ptr<Worker> worker_;
};

/// Where `from` is in one partition.
std::int64_t Resolve(pqxx::transaction_base& tx, int partition_id, const StartFrom& from) {
  const auto row = tx.exec_params1(
      "SELECT next_offset, coalesce((SELECT min(\"offset\") FROM events WHERE partition_id = $1),"
      " next_offset) FROM partitions WHERE id = $1",
      partition_id);
  const auto end = row[0].as<std::int64_t>();
  const auto begin = row[1].as<std::int64_t>();
  switch (from.kind) {
    case StartFrom::Kind::kBeginning:
      return begin;
    case StartFrom::Kind::kEnd:
      return end;
    case StartFrom::Kind::kOffset:
      return std::clamp(from.offset, begin, end);
    case StartFrom::Kind::kTime:
      break;
  }
  const auto found = tx.exec_params1(
      "SELECT min(\"offset\") FROM events WHERE partition_id = $1 AND published_at >= $2",
      partition_id, from.time);
  return found[0].is_null() ? end : found[0].as<std::int64_t>();
}

class PostgresSubscription final : public Subscription, private Sleeper {
 public:
  PostgresSubscription(postgres::Pool& pool, Ear& ear, const BrokerOptions& options,
                       std::string group, std::vector<std::string> topics)
      : pool_(pool),
        ear_(ear),
        options_(options),
        group_(std::move(group)),
        topics_(std::move(topics)),
        member_(NewUuid()) {}

  ~PostgresSubscription() override {
    if (lease_ != nullptr) ear_.Remove(this);
    lease_.reset();
    if (joined_) Leave();
  }

  Result<void> Join() {
    if (const auto shared = ShareOut(); !shared) return shared;
    ear_.Add(this);
    lease_ = std::make_unique<Worker>("bus-lease", [this](std::stop_token stop) { Renew(stop); });
    return {};
  }

  Result<std::vector<Delivery>> Poll(std::size_t at_most, milliseconds wait,
                                     std::stop_token stop) override {
    const auto deadline = steady_clock::now() + wait;
    while (true) {
      KeepAlive();
      const auto now = steady_clock::now();
      if (resync_.exchange(false) || now >= share_due_) {
        if (const auto shared = ShareOut(); !shared) {
          resync_ = true;
          return shared.error();
        }
      }
      if (!assigned_.empty() && at_most > 0) {
        auto read = Read(at_most);
        if (!read || !read->empty()) return read;
      }
      const auto left = std::min(
          {std::chrono::ceil<milliseconds>(deadline - now), options_.poll_interval,
           std::chrono::ceil<milliseconds>(std::max(share_due_ - now, steady_clock::duration{}))});
      if (stop.stop_requested() || steady_clock::now() >= deadline) return std::vector<Delivery>{};
      pause_.Wait(stop, std::max(left, milliseconds{1}));
    }
  }

  Result<void> Commit(std::span<const Position> positions) override {
    std::map<std::pair<std::string, int>, std::int64_t> wanted;
    for (const Position& position : positions) {
      std::int64_t& offset = wanted[{position.topic, position.partition}];
      offset = std::max(offset, position.offset);
    }
    IntegerArray ids;
    BigintArray offsets;
    BigintArray generations;
    std::map<int, std::string> open;  // Not committed yet, by id.
    std::string lost;
    for (const auto& [where, offset] : wanted) {
      const auto held = assigned_.find(where);
      if (held == assigned_.end()) {
        lost += " " + NameOf(where.first, where.second);
        continue;
      }
      ids.Add(held->second.id);
      offsets.Add(offset);
      generations.Add(held->second.generation);
      open[held->second.id] = NameOf(where.first, where.second);
    }
    if (ids.size() > 0) {
      const auto moved = pool_.InTransaction([&](pqxx::work& tx) -> Result<std::vector<int>> {
        std::vector<int> done;
        for (const auto& row : tx.exec_params(
                 "UPDATE positions p SET \"offset\" = w.place"
                 " FROM unnest($3::integer[], $4::bigint[], $5::bigint[])"
                 " AS w (id, place, generation)"
                 " WHERE p.group_name = $1 AND p.member = $2::uuid AND p.partition_id = w.id"
                 " AND p.generation = w.generation RETURNING p.partition_id",
                 group_, member_, ids.Parameter(), offsets.Parameter(), generations.Parameter())) {
          done.push_back(row[0].as<int>());
        }
        return done;
      });
      if (!moved) return Prefixed("commit of " + group_ + ": ", moved.error());
      for (const int id : *moved) open.erase(id);
    }
    for (const auto& [id, name] : open) lost += " " + name;
    if (lost.empty()) return {};
    resync_ = true;
    return Error{ErrorCode::kAborted, "bus: no longer this member's:" + lost};
  }

  Result<void> Seek(const std::string& topic, int partition, StartFrom from) override {
    const auto held = assigned_.find({topic, partition});
    if (held == assigned_.end()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "bus: " + NameOf(topic, partition) + " is not this member's"};
    }
    const auto offset = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::int64_t> {
      return Resolve(tx, held->second.id, from);
    });
    if (!offset) return offset.error();
    held->second.next = *offset;
    return {};
  }

  void KeepAlive() override { alive_ = steady_clock::now().time_since_epoch().count(); }

  std::vector<Position> Assignment() const override {
    std::vector<Position> positions;
    positions.reserve(assigned_.size());
    for (const auto& [where, held] : assigned_) {
      positions.push_back({where.first, where.second, held.next});
    }
    return positions;
  }

 private:
  struct Held {
    int id = 0;
    std::int64_t next = 0;
    std::int64_t generation = 0;
  };
  using Assigned = std::map<std::pair<std::string, int>, Held>;

  // From the ear's thread.
  void Hear(const postgres::Notification& notification) override {
    if (notification.channel == kGroupsChannel) {
      if (!notification.payload.empty() && notification.payload != group_) return;
      resync_ = true;
    } else if (!notification.payload.empty() &&
               std::find(topics_.begin(), topics_.end(), notification.payload) == topics_.end()) {
      return;
    }
    pause_.Wake();
  }

  /// Renews the lease, drops members whose lease ran out, takes what is free, gives what is too
  /// much.
  Result<void> ShareOut() {
    auto shared = pool_.InTransaction([&](pqxx::work& tx) -> Result<Assigned> {
      tx.exec_params("INSERT INTO groups VALUES ($1) ON CONFLICT DO NOTHING", group_);
      tx.exec_params("SELECT 1 FROM groups WHERE group_name = $1 FOR UPDATE", group_);
      bool changed = false;
      changed |= tx.exec_params(
                       "DELETE FROM members WHERE group_name = $1 AND member <> $2::uuid"
                       " AND lease_until < clock_timestamp()",
                       group_, member_)
                     .affected_rows() > 0;
      // Who was dropped by the others joins anew; its old generations are of no more use.
      changed |=
          tx.exec_params1(
                "INSERT INTO members (group_name, member, topics, lease_until)"
                " VALUES ($1, $2::uuid, $3::text[], clock_timestamp() + $4 * interval '1 ms')"
                " ON CONFLICT (group_name, member)"
                " DO UPDATE SET lease_until = excluded.lease_until RETURNING xmax = 0",
                group_, member_, Topics().Parameter(), options_.session_timeout.count())[0]
              .as<bool>();
      tx.exec_params(
          "INSERT INTO positions (group_name, partition_id)"
          " SELECT $1, id FROM partitions WHERE topic = ANY ($2::text[])"
          " ON CONFLICT DO NOTHING",
          group_, Topics().Parameter());
      changed |= tx.exec_params(
                       "UPDATE positions SET member = NULL, generation = generation + 1"
                       " WHERE group_name = $1 AND member IS NOT NULL AND member NOT IN"
                       " (SELECT member FROM members WHERE group_name = $1)",
                       group_)
                     .affected_rows() > 0;
      changed |= Rebalance(tx);
      if (changed) tx.exec_params("SELECT pg_notify($1, $2)", std::string(kGroupsChannel), group_);

      Assigned mine;
      for (const auto& row : tx.exec_params(
               "SELECT p.topic, p.partition, p.id, s.\"offset\", s.generation FROM positions s"
               " JOIN partitions p ON p.id = s.partition_id"
               " WHERE s.group_name = $1 AND s.member = $2::uuid",
               group_, member_)) {
        mine[{row[0].as<std::string>(), row[1].as<int>()}] = {
            row[2].as<int>(), row[3].as<std::int64_t>(), row[4].as<std::int64_t>()};
      }
      return mine;
    });
    if (!shared) return Prefixed("group " + group_ + ": ", shared.error());
    joined_ = true;
    for (auto& [where, held] : *shared) {
      const auto before = assigned_.find(where);
      // Held all the while: goes on where this member is, which may be ahead of its commits.
      if (before != assigned_.end() && before->second.generation == held.generation) {
        held.next = before->second.next;
      }
    }
    assigned_ = std::move(*shared);
    share_due_ = steady_clock::now() + options_.session_timeout / 3;
    return {};
  }

  /// Whether anything changed hands. Under the group's lock.
  bool Rebalance(pqxx::work& tx) {
    std::map<std::string, GroupMember> members;
    for (const auto& row : tx.exec_params(
             "SELECT member, topic FROM members, unnest(topics) AS topic WHERE group_name = $1",
             group_)) {
      GroupMember& member = members[row[0].as<std::string>()];
      member.id = row[0].as<std::string>();
      member.topics.push_back(row[1].as<std::string>());
    }
    std::vector<GroupMember> list;
    for (auto& [id, member] : members) list.push_back(std::move(member));
    std::vector<PartitionOwner> owners;
    std::map<std::pair<std::string, int>, int> ids;
    for (const auto& row :
         tx.exec_params("SELECT p.topic, p.partition, p.id, s.member FROM positions s"
                        " JOIN partitions p ON p.id = s.partition_id WHERE s.group_name = $1",
                        group_)) {
      PartitionOwner owner{row[0].as<std::string>(), row[1].as<int>(),
                           row[3].is_null() ? std::string() : row[3].as<std::string>()};
      ids[{owner.topic, owner.partition}] = row[2].as<int>();
      owners.push_back(std::move(owner));
    }
    const auto changes = FairShare(list, owners, member_);
    for (const PartitionOwner& change : changes) {
      tx.exec_params(
          "UPDATE positions SET member = $3::uuid, generation = generation + 1"
          " WHERE group_name = $1 AND partition_id = $2",
          group_, ids[{change.topic, change.partition}], change.member);
    }
    return !changes.empty();
  }

  Result<std::vector<Delivery>> Read(std::size_t at_most) {
    // Turn by turn, so that a busy partition does not starve the others.
    std::vector<Assigned::iterator> turns;
    for (auto held = assigned_.begin(); held != assigned_.end(); ++held) turns.push_back(held);
    std::rotate(turns.begin(), turns.begin() + static_cast<std::ptrdiff_t>(turn_++ % turns.size()),
                turns.end());
    const std::size_t each = (at_most + turns.size() - 1) / turns.size();
    IntegerArray ids;
    BigintArray nexts;
    std::map<int, Assigned::iterator> by_id;
    for (const auto& held : turns) {
      ids.Add(held->second.id);
      nexts.Add(held->second.next);
      by_id[held->second.id] = held;
    }
    auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<Delivery>> {
      const auto rows = tx.exec_params(
          "SELECT w.id, e.\"offset\", e.key, e.event_id, e.type, e.source, e.time,"
          " e.schema_version, e.traceparent, e.headers, e.payload"
          " FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS w (id, next, place)"
          " CROSS JOIN LATERAL (SELECT * FROM events WHERE partition_id = w.id"
          " AND \"offset\" >= w.next ORDER BY \"offset\" LIMIT $3) e"
          " ORDER BY w.place, e.\"offset\" LIMIT $4",
          ids.Parameter(), nexts.Parameter(), each, at_most);
      std::vector<Delivery> deliveries;
      deliveries.reserve(rows.size());
      for (const auto& row : rows) {
        const auto& where = by_id[row[0].as<int>()]->first;
        Delivery delivery;
        delivery.partition = where.second;
        delivery.offset = row[1].as<std::int64_t>();
        Message& message = delivery.message;
        message.topic = where.first;
        message.key = row[2].as<std::string>();
        message.event_id = row[3].as<std::string>();
        message.type = row[4].as<std::string>();
        message.source = row[5].as<std::string>();
        message.time = row[6].as<Timestamp>();
        message.schema_version = row[7].as<int>();
        message.traceparent = row[8].as<std::string>();
        message.headers = HeadersOf(row[9]);
        message.payload = postgres::BytesOf(row[10]);
        deliveries.push_back(std::move(delivery));
      }
      return deliveries;
    });
    if (!read) return Prefixed("poll of " + group_ + ": ", read.error());
    for (const Delivery& delivery : *read) {
      assigned_[{delivery.message.topic, delivery.partition}].next = delivery.offset + 1;
    }
    return read;
  }

  static std::map<std::string, std::string> HeadersOf(const pqxx::field& field) {
    std::map<std::string, std::string> headers;
    if (std::string_view(field.c_str()) == "{}") return headers;
    auto parser = field.as_array();
    std::string name;
    bool is_name = true;
    for (auto item = parser.get_next(); item.first != pqxx::array_parser::done;
         item = parser.get_next()) {
      if (item.first != pqxx::array_parser::string_value) continue;
      if (is_name) {
        name = item.second;
      } else {
        headers[name] = item.second;
      }
      is_name = !is_name;
    }
    return headers;
  }

  // On the lease's own thread: a handler may take longer than the session.
  void Renew(std::stop_token stop) {
    Pause pause;
    while (pause.Wait(stop, options_.session_timeout / 3)) {
      const auto idle = steady_clock::now().time_since_epoch().count() - alive_;
      // Nobody works here any more: the others shall have the partitions.
      if (steady_clock::duration{idle} > options_.max_handling) continue;
      const auto renewed = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
        tx.exec_params(
            "UPDATE members SET lease_until = clock_timestamp() + $3 * interval '1 ms'"
            " WHERE group_name = $1 AND member = $2::uuid",
            group_, member_, options_.session_timeout.count());
        return {};
      });
      if (!renewed) continue;  // The next Poll or Commit meets the same and reports it.
    }
  }

  void Leave() {
    const auto left = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params("SELECT 1 FROM groups WHERE group_name = $1 FOR UPDATE", group_);
      tx.exec_params("DELETE FROM members WHERE group_name = $1 AND member = $2::uuid", group_,
                     member_);
      tx.exec_params(
          "UPDATE positions SET member = NULL, generation = generation + 1"
          " WHERE group_name = $1 AND member = $2::uuid",
          group_, member_);
      tx.exec_params("SELECT pg_notify($1, $2)", std::string(kGroupsChannel), group_);
      return {};
    });
    if (!left) return;  // Then the lease runs out.
  }

  TextArray Topics() const {
    TextArray topics;
    for (const std::string& topic : topics_) topics.Add(topic);
    return topics;
  }

  postgres::Pool& pool_;
  Ear& ear_;
  const BrokerOptions& options_;
  const std::string group_;
  const std::vector<std::string> topics_;
  const std::string member_;
  Assigned assigned_;
  bool joined_ = false;
  std::size_t turn_ = 0;
  steady_clock::time_point share_due_{};
  std::atomic<bool> resync_ = false;
  std::atomic<steady_clock::rep> alive_ = steady_clock::now().time_since_epoch().count();
  Pause pause_;
  std::unique_ptr<Worker> lease_;
};

class PostgresBroker final : public Broker {
 public:
  explicit PostgresBroker(const BrokerOptions& options)
      : options_(options),
        pool_({.dsn = options.address,
               .search_path = "bus",
               .connections = kConnections,
               .application_name = options.source + "-bus"}),
        topics_(pool_),
        ear_(options.address) {}

  Result<void> EnsureTopics(std::span<const std::string> topics, int partitions) override {
    std::map<std::string, int> wanted;  // Sorted, so that two services never lock in a ring.
    for (const std::string& topic : topics) {
      wanted[topic] = partitions;
      if (!topic.ends_with(".dlq")) wanted.emplace(DeadLetterTopic(topic), 1);
    }
    const auto ensured = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      bool changed = false;
      for (const auto& [topic, count] : wanted) {
        const auto made = tx.exec_params(
            "INSERT INTO topics (topic, partitions) VALUES ($1, $2) ON CONFLICT DO NOTHING", topic,
            count);
        if (made.affected_rows() == 0) continue;
        changed = true;
        tx.exec_params(
            "INSERT INTO partitions (topic, partition)"
            " SELECT $1, partition FROM generate_series(0, $2::integer - 1) AS partition",
            topic, count);
      }
      // Groups that waited for a topic take its partitions now.
      if (changed) tx.exec(std::string("NOTIFY ") + kGroupsChannel);
      return {};
    });
    if (!ensured) return Prefixed("bus: topics: ", ensured.error());
    return {};
  }

  Result<std::unique_ptr<Publisher>> NewPublisher(std::optional<milliseconds> timeout) override {
    return std::unique_ptr<Publisher>(std::make_unique<PostgresPublisher>(
        pool_, topics_, options_.source, timeout.value_or(options_.publish_timeout)));
  }

  Result<std::unique_ptr<Subscription>> Subscribe(const std::string& group,
                                                  std::span<const std::string> topics) override {
    auto subscription = std::make_unique<PostgresSubscription>(
        pool_, ear_, options_, group, std::vector<std::string>(topics.begin(), topics.end()));
    if (const auto joined = subscription->Join(); !joined) return joined.error();
    return std::unique_ptr<Subscription>(std::move(subscription));
  }

  Result<void> Ping() override { return pool_.Ping(); }

  Result<std::vector<PartitionExtent>> Extent(const std::string& topic) override {
    const auto ids = topics_.Find(topic);
    if (!ids) return ids.error();
    return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<PartitionExtent>> {
      std::vector<PartitionExtent> extents;
      for (const auto& row :
           tx.exec_params("SELECT p.partition, coalesce((SELECT min(e.\"offset\") FROM events e"
                          " WHERE e.partition_id = p.id), p.next_offset), p.next_offset"
                          " FROM partitions p WHERE p.topic = $1 ORDER BY p.partition",
                          topic)) {
        extents.push_back({row[0].as<int>(), row[1].as<std::int64_t>(), row[2].as<std::int64_t>()});
      }
      return extents;
    });
  }

  Result<std::vector<PartitionLag>> Lag(const std::string& group) override {
    return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<PartitionLag>> {
      std::vector<PartitionLag> lags;
      for (const auto& row : tx.exec_params(
               "SELECT p.topic, p.partition, s.\"offset\", p.next_offset, p.next_offset -"
               " coalesce((SELECT min(e.\"offset\") FROM events e WHERE e.partition_id = p.id"
               " AND e.\"offset\" >= s.\"offset\"), p.next_offset)"
               " FROM positions s JOIN partitions p ON p.id = s.partition_id"
               " WHERE s.group_name = $1 ORDER BY p.topic, p.partition",
               group)) {
        lags.push_back({row[0].as<std::string>(), row[1].as<int>(), row[2].as<std::int64_t>(),
                        row[3].as<std::int64_t>(), row[4].as<std::int64_t>()});
      }
      return lags;
    });
  }

  Result<void> Replay(const std::string& group, const std::string& topic, StartFrom from) override {
    const auto ids = topics_.Find(topic);
    if (!ids) return ids.error();
    return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params("INSERT INTO groups VALUES ($1) ON CONFLICT DO NOTHING", group);
      tx.exec_params("SELECT 1 FROM groups WHERE group_name = $1 FOR UPDATE", group);
      const auto members = tx.exec_params1(
          "SELECT count(*) FROM members WHERE group_name = $1 AND lease_until >= clock_timestamp()",
          group);
      if (members[0].as<int>() > 0) {
        return Error{ErrorCode::kFailedPrecondition, "bus: group " + group + " has members now"};
      }
      for (const int id : *ids) {
        tx.exec_params(
            "INSERT INTO positions (group_name, partition_id, \"offset\") VALUES ($1, $2, $3)"
            " ON CONFLICT (group_name, partition_id) DO UPDATE SET \"offset\" = "
            "excluded.\"offset\","
            " member = NULL, generation = positions.generation + 1",
            group, id, Resolve(tx, id, from));
      }
      return {};
    });
  }

  Result<std::int64_t> RemoveBefore(const std::string& topic, Timestamp time,
                                    bool also_unread) override {
    const auto ids = topics_.Find(topic);
    if (!ids) return ids.error();
    std::int64_t removed = 0;
    for (const int id : *ids) {
      while (true) {
        // A little at a time: a long transaction would keep every other table's garbage.
        const auto some = pool_.InTransaction([&](pqxx::work& tx) -> Result<std::int64_t> {
          const auto gone = tx.exec_params(
              "DELETE FROM events e WHERE e.partition_id = $1 AND e.\"offset\" IN ("
              " SELECT o.\"offset\" FROM events o WHERE o.partition_id = $1 AND ($3::boolean"
              " OR o.\"offset\" < coalesce((SELECT min(s.\"offset\") FROM positions s"
              " WHERE s.partition_id = $1), 9223372036854775807))"
              " AND o.published_at < $2 ORDER BY o.\"offset\" LIMIT $4)",
              id, time, also_unread, kRemoveAtOnce);
          return static_cast<std::int64_t>(gone.affected_rows());
        });
        if (!some) return Prefixed("retention of " + topic + ": ", some.error());
        removed += *some;
        if (*some < kRemoveAtOnce) break;
      }
    }
    return removed;
  }

 private:
  const BrokerOptions options_;
  postgres::Pool pool_;
  TopicMap topics_;
  Ear ear_;
};

}  // namespace

Result<std::unique_ptr<Broker>> OpenPostgresBroker(const BrokerOptions& options) {
  return std::unique_ptr<Broker>(std::make_unique<PostgresBroker>(options));
}

Result<void> MigratePostgresBus(const std::string& admin_dsn) {
  const auto migrated = postgres::Migrate(admin_dsn, "bus", std::string(postgres::kBusRole),
                                          Migrations(), postgres::PlatformTables::kNo);
  if (!migrated) return migrated.error();
  return {};
}

}  // namespace tidewheel::bus
