// What each section shows, from what the services answered.

import {el} from "./dom.js";
import {ago, count, duration, fixed, number, percent, word} from "./format.js";
import {bar, empty, pill, problem, shortHash, shortId, sum, table} from "./parts.js";
import {thumbnail} from "./pictures.js";

export {problem};

/** Names with counts, each as long as its share of the largest. */
function bars(entries, kind = "") {
  const most = Math.max(1, ...entries.map(([, value]) => number(value)));
  return el("div", {class: "bars"}, entries.map(([name, value]) => [
    el("span", {class: "name"}, name),
    el("span", {class: "bar", "aria-hidden": "true"}, bar(number(value) / most, kind)),
    el("span", {class: "count"}, count(value)),
  ]));
}

function splits(training, validation, test) {
  const parts = [["training", training], ["validation", validation], ["test", test]];
  const all = sum(parts.map(([, value]) => value)) || 1;
  return el("div", {},
    el("div", {class: "bar wide", "aria-hidden": "true"}, parts.map(([name, value]) => bar(number(value) / all, name))),
    el("div", {class: "key"}, parts.map(([name, value]) =>
      el("span", {}, el("i", {class: name, "aria-hidden": "true"}), `${name} ${count(value)}`))));
}

// Services.

const kHealth = {
  HEALTH_SERVING: ["serving", "good"],
  HEALTH_NOT_SERVING: ["not serving", "warn"],
  HEALTH_UNREACHABLE: ["unreachable", "bad"],
};

export function services(status) {
  return el("div", {class: "services"}, status.services.map((service) => {
    const [text, tone] = kHealth[service.health] ?? ["unknown", ""];
    return el("article", {class: "card service", dataset: {service: service.name}},
      el("div", {class: "line"}, el("h3", {}, service.name), pill(text, tone)),
      el("small", {}, service.address || "no address",
        service.health === "HEALTH_SERVING" ? ` · ${(service.answer_seconds * 1000).toFixed(1)} ms` : ""),
      service.problem && el("small", {class: "why"}, service.problem));
  }));
}

// Tasks.

export function tasks(list, details, deployments) {
  if (list.length === 0) return empty("No task yet: apply one with tidewheel apply FILE.");
  return el("div", {class: "tasks"}, list.map((task) => taskCard(task, details.get(task.spec.name) ?? {},
    deployments.find((deployment) => deployment.task === task.spec.name))));
}

function taskCard(task, detail, deployment) {
  const spec = task.spec;
  const input = spec.preprocessing ?? {};
  const counts = detail.counts?.value;
  const samples = detail.samples?.value?.samples ?? [];
  const reasons = Object.entries(counts?.quarantined_by_reason ?? {}).sort((a, b) => number(b[1]) - number(a[1]));
  const shown = spec.classes.slice(0, 12);
  return el("article", {class: "card", dataset: {task: spec.name}},
    el("div", {class: "task-head"},
      el("h3", {}, spec.name), pill(`version ${task.version}`),
      deployment ? pill(`serves version ${deployment.production?.version}`, "good") : pill("nothing serves", ""),
      spec.description && el("p", {}, spec.description)),
    el("div", {class: "columns"},
      el("div", {},
        el("h4", {}, "Task"),
        el("dl", {class: "facts"},
          el("dt", {}, "Input"), el("dd", {}, `${input.width} × ${input.height} × ${input.channels}`),
          el("dt", {}, "Applied"), el("dd", {}, ago(task.applied_at), task.applied_by && ` by ${task.applied_by}`),
          el("dt", {}, "Classes"),
          el("dd", {class: "chips"}, shown.map((name) => pill(name)),
            spec.classes.length > shown.length && pill(`+ ${spec.classes.length - shown.length}`)))),
      el("div", {},
        el("h4", {}, "Samples"),
        detail.counts?.problem && problem("ingestion", detail.counts.problem),
        counts && el("div", {}, `${count(counts.active)} active`,
          number(counts.deactivated) > 0 && `, ${count(counts.deactivated)} deactivated`),
        counts && splits(counts.by_split?.training, counts.by_split?.validation, counts.by_split?.test)),
      el("div", {},
        el("h4", {}, "Quarantine"),
        counts && el("div", {}, number(counts.quarantined) === 0 ? "Nothing set aside" : `${count(counts.quarantined)} set aside`),
        reasons.length > 0 && bars(reasons.map(([name, value]) => [name.replaceAll("_", " "), value]), "reason")),
      samples.length > 0 && el("div", {},
        el("h4", {}, "Some of its samples"),
        el("ul", {class: "thumbs"}, samples.map(thumbnail)))));
}

// Dataset versions.

export function datasets(list) {
  if (list.length === 0) return empty("No dataset version yet: build one with tidewheel dataset build --task TASK.");
  return table("Dataset versions, newest first", ["Dataset", ">Items", "Splits", "Classes in training", "Left out"],
    list.map((version) => {
      const report = version.report ?? {classes: []};
      const classes = report.classes.slice(0, 10);
      return el("tr", {dataset: {dataset: version.dataset_version_id}},
        el("th", {scope: "row"}, `${version.task}@${version.version}`,
          el("small", {}, ago(version.built_at), version.built_by && ` by ${version.built_by}`),
          el("small", {}, "digest ", shortHash(version.digest)),
          version.description && el("small", {}, version.description)),
        el("td", {class: "number"}, count(version.items),
          el("small", {}, `imbalance ${fixed(report.imbalance, 1)}`)),
        el("td", {}, splits(report.training, report.validation, report.test)),
        el("td", {}, bars(classes.map((entry) => [entry.class_name, entry.training])),
          report.classes.length > classes.length && el("small", {}, `and ${report.classes.length - classes.length} more`)),
        el("td", {}, leftOut(report)));
    }));
}

function leftOut(report) {
  const parts = [["unlabeled", report.unlabeled], ["low confidence", report.low_confidence], ["deactivated", report.deactivated]]
    .filter(([, value]) => number(value) > 0);
  return parts.length === 0 ? "none" : parts.map(([name, value]) => el("div", {}, `${count(value)} ${name}`));
}

// Runs.

const kState = {
  RUN_STATE_QUEUED: "", RUN_STATE_RUNNING: "accent", RUN_STATE_SUCCEEDED: "good", RUN_STATE_FAILED: "bad", RUN_STATE_CANCELLED: "warn",
};

export function runs(list) {
  if (list.length === 0) return empty("No run yet: start one with tidewheel train --dataset TASK --recipe image-cnn --seed 1.");
  const from = scaleBegin(list);
  return table("Runs, newest first", ["Run", "State", "Recipe", "Progress", `Test metrics with 95 % intervals, bars from ${from} to 1`],
    list.map((run) => el("tr", {dataset: {run: run.run_id}},
      el("th", {scope: "row"}, run.task, el("small", {}, shortId(run.run_id)), el("small", {}, ago(run.queued_at))),
      el("td", {}, pill(word(run.state, "RUN_STATE_"), kState[run.state]),
        run.reason && el("small", {class: "why"}, run.reason)),
      el("td", {class: "keep"}, run.recipe, el("small", {}, `seed ${run.seed}`)),
      el("td", {}, progress(run)),
      el("td", {}, metrics(run, from)))));
}

function progress(run) {
  const state = run.progress ?? {};
  if (run.state === "RUN_STATE_SUCCEEDED") {
    return [run.training_seconds > 0 && el("div", {}, `trained ${duration(run.training_seconds)}`),
      run.best_epoch > 0 && el("small", {}, `best epoch ${run.best_epoch}`)];
  }
  if (run.state !== "RUN_STATE_RUNNING") return "";
  const done = number(state.steps_done);
  const total = number(state.steps_total);
  const share = total > 0 ? done / total : 0;
  return [
    el("progress", {max: "1", value: total > 0 ? share : undefined, "aria-label": `Progress of run ${run.run_id}`}),
    el("small", {}, [state.phase, state.epochs > 0 && `epoch ${state.epoch}/${state.epochs}`, total > 0 && percent(share),
      state.seconds_left > 0 && `${duration(state.seconds_left)} left`].filter(Boolean).join(" · ")),
    state.samples_per_second > 0 && el("small", {},
      `loss ${fixed(state.training_loss)} · validation ${fixed(state.validation_metric)} · ${count(Math.round(state.samples_per_second))}/s`),
  ];
}

const kMainMetrics = ["accuracy", "balanced_accuracy", "macro_f1", "ece"];

// One scale for all rows, so that they can be compared: from the tenth below the lowest interval to 1.
function scaleBegin(list) {
  const lows = list.flatMap((run) => (run.evaluations ?? []).filter((evaluation) => evaluation.split === "test")
    .flatMap((evaluation) => evaluation.metrics.filter((metric) => kMainMetrics.includes(metric.name) && isShare(metric)))
    .map((metric) => metric.low));
  return Math.max(0, Math.floor(Math.min(0.9, ...lows) * 10) / 10);
}

// Of an error measure the bar would say the contrary.
const isShare = (metric) => metric.name !== "ece" && metric.name !== "log_loss";

function metrics(run, from) {
  const test = (run.evaluations ?? []).find((evaluation) => evaluation.split === "test");
  if (!test) return el("span", {class: "muted"}, "–");
  const main = kMainMetrics.map((name) => test.metrics.find((metric) => metric.name === name)).filter(Boolean);
  const recalls = test.metrics.filter((metric) => metric.name.startsWith("recall."));
  return [
    el("div", {class: "metrics"}, main.map((metric) => metricRow(metric, from))),
    recalls.length > 0 && el("details", {dataset: {key: `recall-${run.run_id}`}},
      el("summary", {dataset: {key: `recall-summary-${run.run_id}`}}, "Recall by class, bars from 0 to 1"),
      el("div", {class: "metrics"}, recalls.map((metric) => metricRow(metric, 0)))),
  ];
}

function metricRow(metric, from) {
  const share = (value) => Math.max(0, Math.min(1, (value - from) / (1 - from)));
  const place = (value) => `${share(value) * 100}%`;
  const hasInterval = metric.high > metric.low;
  return [
    el("span", {}, metric.name.replace("recall.", "").replaceAll("_", " ")),
    el("span", {class: "value"}, fixed(metric.value), hasInterval && el("span", {class: "muted"}, ` ${fixed(metric.low)}–${fixed(metric.high)}`)),
    !isShare(metric) ? el("span") : el("span", {class: "interval", "aria-hidden": "true"},
      hasInterval && el("span", {class: "band", style: {left: place(metric.low), width: `${(share(metric.high) - share(metric.low)) * 100}%`}}),
      el("span", {class: "point", style: {left: place(metric.value)}})),
  ];
}

// Models.

const kStage = {STAGE_PRODUCTION: "good", STAGE_REGISTERED: "", STAGE_RETIRED: "warn"};

function rolloutOf(deployments, model) {
  const rollout = deployments.map((entry) => entry.rollout).find((entry) => entry?.candidate?.model_version_id === model.model_version_id);
  return rollout && pill(rollout.stage === "canary" ? `canary ${percent(rollout.share)}` : rollout.stage, "accent");
}

export function models(list, deployments, summaries) {
  if (list.length === 0) return empty("No model version yet: a run that succeeds registers one.");
  return table("Model versions, newest first",
    ["Model", "Stage", "Recipe", ">Accuracy", ">Balanced", ">Macro F1", "Seen in production", "Made from"],
    list.map((model) => {
      const deployment = deployments.find((entry) => entry.production?.model_version_id === model.model_version_id);
      const seen = summaries.find((entry) => entry.model_version_id === model.model_version_id);
      const metric = (name) => model.metrics?.[name] === undefined ? "–" : fixed(model.metrics[name]);
      return el("tr", {dataset: {model: model.model_version_id}},
        el("th", {scope: "row"}, `${model.task}@${model.version}`,
          el("small", {}, shortId(model.model_version_id)), el("small", {}, ago(model.registered_at))),
        el("td", {}, pill(word(model.stage, "STAGE_"), kStage[model.stage]),
          deployment && el("small", {}, `since ${ago(deployment.deployed_at)}, revision ${deployment.revision}`),
          rolloutOf(deployments, model)),
        el("td", {class: "keep"}, model.recipe, el("small", {}, `seed ${model.seed}`)),
        el("td", {class: "number"}, metric("accuracy")),
        el("td", {class: "number"}, metric("balanced_accuracy")),
        el("td", {class: "number"}, metric("macro_f1")),
        el("td", {}, seen ? [`${count(seen.predictions)} predictions`,
          el("small", {}, `confidence ${fixed(seen.mean_confidence)}`),
          seen.accuracy !== undefined && el("small", {}, `accuracy ${fixed(seen.accuracy)} on ${count(seen.outcomes)} outcomes`)] : el("span", {class: "muted"}, "–")),
        el("td", {}, el("small", {}, "run ", shortId(model.run_id)),
          el("small", {}, "data ", shortHash(model.dataset_digest)),
          el("small", {}, "code ", shortHash(model.code_version),
            !model.code_clean && " (changed tree)")));
    }));
}

// At a glance.

export function tiles(facts) {
  return facts.map(([label, value]) => el("div", {class: "card tile"},
    el("div", {class: "value"}, value), el("div", {class: "label"}, label)));
}
