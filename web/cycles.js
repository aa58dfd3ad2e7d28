// The closed loop: alerts, cycles, and one cycle as a timeline.

import {alertActions, buttons, cycleActions} from "./actions.js";
import {histogram, interval} from "./charts.js";
import {el} from "./dom.js";
import {ago, clock, count, duration, fixed, number, percent, secondsBetween, word} from "./format.js";
import {bar, empty, pill, problem, shortHash, shortId, table, withIds} from "./parts.js";
import {thumbnail} from "./pictures.js";

export const kShownSamples = 48;

const words = (text) => String(text ?? "").replaceAll("_", " ");
const kAlertState = {ALERT_STATE_RAISED: "bad", ALERT_STATE_ACKNOWLEDGED: "warn", ALERT_STATE_RESOLVED: "good"};

const alertTitle = (alert) => alert.title || words(alert.cause);

/** Damage is a loss of accuracy over all traffic. */
function damage(alert) {
  return [percent(alert.damage ?? 0),
    el("span", {class: "bar", "aria-hidden": "true"}, bar(alert.damage ?? 0, "harm"))];
}

export function alerts(list) {
  if (list.length === 0) return empty("No alert: what models see and say is as it was when they were made.");
  return table("Alerts, newest first", ["Alert", "State", "Cause", ">Damage", "What is known"],
    list.map((alert) => el("tr", {dataset: {alert: alert.alert_id}},
      el("th", {scope: "row"}, alertTitle(alert),
        el("small", {}, alert.task, " ", shortId(alert.alert_id)), el("small", {}, ago(alert.raised_at))),
      el("td", {}, pill(word(alert.state, "ALERT_STATE_"), kAlertState[alert.state]), alert.muted && pill("muted"),
        alert.acknowledged_by && el("small", {}, `by ${alert.acknowledged_by}`),
        alert.resolution && el("small", {}, withIds(alert.resolution)),
        buttons(alertActions(alert), alertTitle(alert))),
      el("td", {class: "keep"}, words(alert.cause)),
      el("td", {class: "number"}, damage(alert)),
      el("td", {}, alert.description, findings(alert.findings ?? []),
        number(alert.delay_predictions) > 0 && el("small", {}, `${count(alert.delay_predictions)} predictions after the change`)))));
}

function findings(list) {
  const telling = list.filter((finding) => finding.fires).slice(0, 5);
  return telling.map((finding) => el("small", {},
    [word(finding.kind, "FINDING_KIND_"), finding.subject, finding.slice].filter(Boolean).join(" · "),
    ` ${finding.method} ${fixed(finding.statistic)} over ${fixed(finding.threshold)}`));
}

const kEnd = {
  CYCLE_STATE_PROMOTED: "good", CYCLE_STATE_REJECTED: "warn", CYCLE_STATE_ROLLED_BACK: "bad", CYCLE_STATE_CANCELLED: "warn", CYCLE_STATE_FAILED: "bad",
};
const stateOf = (state) => word(state, "CYCLE_STATE_");
const statePill = (cycle) => [pill(stateOf(cycle.state), kEnd[cycle.state] ?? "accent"), cycle.paused && pill("paused", "warn")];

function cost(cycle) {
  const spent = cycle.cost ?? {};
  return [`${count(spent.labels)} labels`, duration(spent.cpu_seconds) && `${duration(spent.cpu_seconds)} of CPU`,
    duration(spent.wall_seconds) && `${duration(spent.wall_seconds)} in all`].filter(Boolean).join(" · ");
}

function gain(cycle) {
  if (cycle.gain === undefined || cycle.gain === null) return null;
  const low = cycle.gain_low ?? cycle.gain;
  const high = cycle.gain_high ?? cycle.gain;
  return `${signed(cycle.gain)} (${signed(low)} to ${signed(high)})`;
}
const signed = (value) => `${value > 0 ? "+" : ""}${fixed(value)}`;

export function cycles(list) {
  if (list.length === 0) return empty("No cycle yet: a task's policy says what starts one.");
  return table("Cycles, newest first", ["Cycle", "State", "Started by", "Gain on the new condition", "Cost"],
    list.map((cycle) => el("tr", {dataset: {cycle: cycle.cycle_id}},
      el("th", {scope: "row"}, el("a", {href: `#cycle/${encodeURIComponent(cycle.cycle_id)}`, dataset: {key: `cycle-${cycle.cycle_id}`}}, cycle.task, " ", shortId(cycle.cycle_id)),
        el("small", {}, ago(cycle.started_at))),
      el("td", {}, statePill(cycle), cycle.reason && el("small", {class: "reason"}, withIds(cycle.reason))),
      el("td", {class: "keep"}, words(cycle.trigger), cycle.alert_cause && el("small", {}, words(cycle.alert_cause))),
      el("td", {}, gain(cycle) ?? el("span", {class: "muted"}, "–")),
      el("td", {}, cost(cycle)))));
}

export function decisions(list) {
  if (list.length === 0) return null;
  return el("details", {dataset: {key: "decisions"}},
    el("summary", {dataset: {key: "decisions-summary"}}, `${count(list.length)} decisions, also those against a cycle`),
    table("Decisions, newest first", ["When", "Task", "Outcome", "Why", "Who"], list.map((decision) =>
      el("tr", {dataset: {decision: decision.decision_id}},
        el("th", {scope: "row"}, ago(decision.decided_at), el("small", {}, words(decision.trigger))),
        el("td", {}, decision.task),
        el("td", {}, pill(words(decision.outcome), decision.outcome === "started" ? "accent" : ""), decision.because && el("small", {}, words(decision.because))),
        el("td", {}, withIds(decision.reason)),
        el("td", {}, decision.actor ? withIds(decision.actor) : "–")))));
}

// One cycle.

/** `facts`: what the services answered, each {value} or {problem}; see loadCycle in app.js. */
export function cyclePage(cycle, facts) {
  const now = cycle.ended_at ?? new Date().toISOString();
  return el("article", {class: "cycle", dataset: {shown: cycle.cycle_id}},
    el("div", {class: "card"},
      el("div", {class: "task-head"}, el("h3", {}, cycle.task), statePill(cycle), shortId(cycle.cycle_id),
        cycle.reason && el("p", {}, withIds(cycle.reason))),
      el("dl", {class: "facts spaced"},
        fact("Started", `${clock(cycle.started_at)}, ${ago(cycle.started_at)}`, cycle.actor && [" by ", withIds(cycle.actor)]),
        fact("Trigger", words(cycle.trigger), cycle.alert_cause && `: ${words(cycle.alert_cause)}`),
        fact("Models", facts.baseline ?? "–", " → ", facts.candidate ?? "none yet"),
        fact("Gain on the new condition", gain(cycle) ?? "not measured yet"),
        fact("Cost", cost(cycle)),
        number(cycle.harmed_requests) > 0 && fact("Harmed requests", count(cycle.harmed_requests))),
      buttons(cycleActions(cycle, facts.signOffs), `cycle of ${cycle.task}, …${String(cycle.cycle_id).slice(-8)}`)),
    el("ol", {class: "timeline"},
      cycle.alert_id && step("Alert", facts.alert.value?.alert?.raised_at, null, "", evidence(facts.alert)),
      inTime((cycle.steps ?? []).map((entry) => ({at: entry.entered_at, shown: step(stateOf(entry.state), entry.entered_at, entry.left_at ?? now, entry.result,
        details(entry.details), forState(entry, cycle, facts), !entry.left_at && !cycle.ended_at && pill("now", "accent"))})),
      (cycle.decisions ?? []).filter((entry) => entry.outcome !== "started").map((entry) => ({at: entry.decided_at,
        shown: step(words(entry.outcome), entry.decided_at, null, entry.reason, entry.actor && el("p", {}, "by ", withIds(entry.actor)))})))));
}

// What people decided stands between the steps, when they did.
function inTime(steps, decided) {
  return [...steps, ...decided].sort((a, b) => Date.parse(a.at) - Date.parse(b.at) || 0).map((entry) => entry.shown);
}

function fact(name, ...text) {
  return [el("dt", {}, name), el("dd", {}, ...text)];
}

function step(name, from, to, result, ...content) {
  return el("li", {dataset: {step: name}},
    el("div", {class: "when"}, clock(from), from && to && el("small", {}, duration(secondsBetween(from, to)))),
    el("div", {class: "what"}, el("h4", {}, name), result && el("p", {}, withIds(result)), ...content));
}

function details(map) {
  const entries = Object.entries(map ?? {}).sort();
  return entries.length > 0 && el("div", {class: "chips"}, entries.map(([key, value]) => pill([`${words(key)}: `, withIds(value)])));
}

function forState(entry, cycle, facts) {
  switch (entry.state) {
    case "CYCLE_STATE_COLLECTING": return acquired(cycle);
    case "CYCLE_STATE_LABELING": return samples(facts);
    case "CYCLE_STATE_BUILDING": return dataset(facts.dataset);
    case "CYCLE_STATE_TRAINING": return run(facts.run);
    case "CYCLE_STATE_GATING": return gate(cycle.criteria ?? []);
    case "CYCLE_STATE_AWAITING_SIGN_OFF": return signatures(facts.signOffs);
    case "CYCLE_STATE_SHADOW": return comparisons(facts.comparisons, entry, cycle, "shadow");
    case "CYCLE_STATE_CANARY": return comparisons(facts.comparisons, entry, cycle, "canary");
    default: return null;
  }
}

// Why something is not shown is shown.
const absent = (service, answer) => answer?.problem && problem(service, answer.problem);

function evidence(answer) {
  const alert = answer.value?.alert;
  if (!alert) return absent("monitoring", answer);
  return [el("p", {}, pill(word(alert.state, "ALERT_STATE_"), kAlertState[alert.state]), ` ${alertTitle(alert)}, damage ${percent(alert.damage ?? 0)}`,
      alert.muted && [" ", pill("muted")], alert.acknowledged_by && ` acknowledged by ${alert.acknowledged_by}`),
    buttons(alertActions(alert), alertTitle(alert)),
    alert.description && el("p", {}, alert.description), findings(alert.findings ?? []),
    el("div", {class: "histograms"}, (alert.histograms ?? []).slice(0, 12).map((entry) =>
      el("figure", {}, histogram(entry), el("figcaption", {}, words(entry.subject))))),
    (alert.histograms ?? []).length > 0 && el("div", {class: "key"},
      el("span", {}, el("i", {class: "reference", "aria-hidden": "true"}), "reference"), el("span", {}, el("i", {class: "current", "aria-hidden": "true"}), "now")),
    (alert.telling_predictions ?? []).length > 0 && el("details", {dataset: {key: "telling"}},
      el("summary", {dataset: {key: "telling-summary"}}, `${count(alert.telling_predictions.length)} predictions that tell the most`),
      el("p", {class: "telling"}, alert.telling_predictions.map((id) => [el("code", {}, id), " "]))),
    alert.resolution && el("p", {}, "Resolved: ", withIds(alert.resolution))];
}

function acquired(cycle) {
  const entries = Object.entries(cycle.acquired ?? {}).sort();
  return entries.length > 0 && el("p", {}, "Chosen: ", entries.map(([why, how]) => `${count(how)} ${words(why)}`).join(", "));
}

function samples(facts) {
  const items = facts.queue?.value?.items ?? [];
  const batch = facts.batch?.value?.batch;
  const votes = facts.votes ?? new Map();
  return [absent("labeling", facts.queue),
    batch && el("p", {}, `${count(batch.votes)} votes on ${count(batch.answered)} of ${count(batch.items)} samples, ${count(batch.labels)} labels`,
      number(batch.unjudged) > 0 && `, ${count(batch.unjudged)} could not be judged`),
    el("ul", {class: "thumbs named"}, items.slice(0, kShownSamples).map((item) => {
      const given = votes.get(item.sample_id) ?? [];
      const slot = thumbnail({sample_id: item.sample_id, name: `${words(item.reason)}, ${words(item.state)}`});
      slot.dataset.sample = item.sample_id;
      return el("li", {class: "sample"}, el("ul", {class: "thumbs"}, slot),
        el("small", {}, words(item.reason)),
        el("small", {class: "votes", title: given.map((vote) => `${vote.annotator}: ${vote.class_name}`).join(", ")}, given.length > 0 ? given.map((vote) => vote.class_name).join(", ") : words(item.state)));
    })),
    items.length > kShownSamples && el("small", {}, `and ${count(items.length - kShownSamples)} more`)];
}

function dataset(answer) {
  const version = answer?.value?.dataset_version;
  if (!version) return absent("curation", answer);
  return el("p", {}, `Dataset ${version.task}@${version.version}, ${count(version.items)} items, digest `, shortHash(version.digest));
}

function run(answer) {
  const made = answer?.value?.run;
  if (!made) return absent("training", answer);
  const test = (made.evaluations ?? []).find((evaluation) => evaluation.split === "test");
  const accuracy = test?.metrics.find((metric) => metric.name === "accuracy");
  return el("p", {}, `${made.recipe}, seed ${made.seed}, `, pill(word(made.state, "RUN_STATE_"), made.state === "RUN_STATE_SUCCEEDED" ? "good" : "accent"), " ",
    shortId(made.run_id), duration(made.training_seconds) && `, trained ${duration(made.training_seconds)}`,
    accuracy && `, test accuracy ${fixed(accuracy.value)}`);
}

const kVerdict = {GATE_VERDICT_PASS: "good", GATE_VERDICT_FAIL: "bad", GATE_VERDICT_INCONCLUSIVE: "warn"};

function gate(criteria) {
  if (criteria.length === 0) return null;
  const numbers = criteria.flatMap((entry) => [entry.difference, entry.low, entry.high]).filter((value) => Number.isFinite(value));
  const scale = Math.max(1e-9, ...numbers.map(Math.abs));
  return table("Gate: the candidate beside the serving model", ["Criterion", "Verdict", "Candidate minus serving", ">Samples", ">p", "Reason"],
    criteria.map((entry) => el("tr", {dataset: {criterion: entry.name}},
      el("th", {scope: "row"}, words(entry.name)),
      el("td", {}, pill(words(word(entry.verdict, "GATE_VERDICT_")), kVerdict[entry.verdict])),
      el("td", {}, Number.isFinite(entry.difference) ? [signed(entry.difference),
        Number.isFinite(entry.low) && Number.isFinite(entry.high) && interval(entry.low, entry.difference, entry.high, scale)] : "–"),
      el("td", {class: "number"}, number(entry.samples) > 0 ? count(entry.samples) : "–"),
      el("td", {class: "number"}, Number.isFinite(entry.p_value) ? fixed(entry.p_value) : "–"),
      el("td", {}, entry.reason))));
}

function signatures(answer) {
  if (!answer?.value) return absent("model-registry", answer);
  return [el("ul", {class: "plain"}, answer.value.records.map((record) => el("li", {dataset: {role: record.role}},
    pill(record.approved ? "signed" : "refused", record.approved ? "good" : "bad"), ` ${record.role}: ${record.actor}, ${clock(record.signed_at)}`,
    record.reason && `, “${record.reason}”`))),
    answer.value.missing_roles.length > 0 && el("p", {}, `Still to sign: ${answer.value.missing_roles.join(", ")}`)];
}

/** The comparison of a step: the cycle's how manyeth at that stage. A last step of a canary promotes and compares nothing. */
function comparisons(answer, entry, cycle, stage) {
  const began = (compared) => Date.parse(compared.started_at);
  // Another cycle may have tried the same candidate.
  const own = (answer?.value?.comparisons ?? [])
    .filter((compared) => compared.stage === stage && !(began(compared) < Date.parse(cycle.started_at)) && !(began(compared) > Date.parse(cycle.ended_at)))
    .sort((a, b) => began(a) - began(b) || 0);
  const place = cycle.steps.filter((step) => step.state === entry.state).indexOf(entry);
  const shown = own.slice(place, place + 1);
  if (shown.length === 0) return absent("monitoring", answer);
  return shown.map((entry) => el("div", {class: "comparison", dataset: {comparison: entry.comparison_id}},
    el("p", {}, pill(entry.verdict || "undecided", entry.verdict === "harmful" ? "bad" : entry.verdict === "harmless" ? "good" : ""),
      ` candidate ${count(entry.candidate_predictions)}, production ${count(entry.baseline_predictions)} predictions`,
      stage === "shadow" && `, ${count(entry.disagreements)} answered otherwise`,
      `, errors ${count(entry.candidate_errors)} and ${count(entry.baseline_errors)}`,
      `, mean ${duration(entry.candidate_seconds_mean) || "–"} and ${duration(entry.baseline_seconds_mean) || "–"}`),
    Number.isFinite(entry.accuracy_difference) && el("p", {}, `Accuracy ${signed(entry.accuracy_difference)}`,
      Number.isFinite(entry.accuracy_low) && ` (${signed(entry.accuracy_low)} to ${signed(entry.accuracy_high)})`,
      ` on ${count(entry.candidate_outcomes)} and ${count(entry.baseline_outcomes)} outcomes`),
    entry.reason && el("small", {}, entry.reason)));
}
