// What people do here: buttons, and the one dialog in which they say who they are and why.

import {send} from "./api.js";
import {el} from "./dom.js";

// An action: {key, label, tone, what, reason: "asked" or "needed", seconds: true, perform({actor, reason, seconds, requestId}), done: what is told
// afterwards, go(answer): where to go then}.

export function cycleActions(cycle, signOffs) {
  const id = {cycle_id: cycle.cycle_id};
  const actions = [];
  if (!cycle.ended_at) {
    actions.push(cycle.paused
      ? {key: "resume", label: "Resume", what: "The cycle goes on where it stopped; the time paused does not count.", done: "resumed",
        perform: ({actor}) => send("training", "ResumeCycle", {...id, actor})}
      : {key: "pause", label: "Pause", what: "The cycle takes no further step; what runs already ends.", done: "paused",
        perform: ({actor}) => send("training", "PauseCycle", {...id, actor})});
    actions.push({key: "cancel", label: "Cancel", tone: "bad", reason: "asked", done: "ends as cancelled",
      what: "The cycle ends: leases, runs and shares of traffic are taken back.",
      perform: ({actor, reason}) => send("training", "CancelCycle", {...id, actor, reason})});
  }
  if (cycle.state === "CYCLE_STATE_FAILED") {
    actions.push({key: "retry", label: "Retry", what: "The cycle is taken up at the state in which it failed.", done: "taken up again",
      perform: ({actor}) => send("training", "RetryCycle", {...id, actor})});
  }
  if (cycle.state === "CYCLE_STATE_REJECTED" && cycle.candidate_model_version_id) {
    actions.push({key: "override", label: "Override", tone: "bad", reason: "needed", done: "started anew past the gate",
      what: "A new cycle takes this candidate past a gate that says no. Signatures are still asked for, and its canary can still roll it back. "
        + "The reason is kept in the audit log.",
      perform: ({actor, reason, requestId}) => send("training", "StartCycle", {request_id: requestId, task: cycle.task, actor, reason,
        candidate_model_version_id: cycle.candidate_model_version_id, override_reason: reason}),
      go: (answer) => `#cycle/${encodeURIComponent(answer.cycle.cycle_id)}`});
  }
  if (cycle.state === "CYCLE_STATE_AWAITING_SIGN_OFF") {
    for (const role of signOffs?.value?.missing_roles ?? []) {
      const sign = (approved) => ({actor, reason}) => send("model-registry", "SignOff",
        {model_version_id: cycle.candidate_model_version_id, role, actor, approved, reason});
      actions.push(
        {key: `sign-${role}`, label: `Sign as ${role}`, tone: "good", reason: "asked", done: `signed as ${role}`,
          what: `You say for the role ${role} that the candidate may get traffic.`, perform: sign(true)},
        {key: `refuse-${role}`, label: `Refuse as ${role}`, tone: "bad", reason: "needed", done: `refused as ${role}`,
          what: "The candidate gets no traffic, and the cycle ends.", perform: sign(false)});
    }
  }
  return actions;
}

export function alertActions(alert) {
  if (!alert.alert_id || alert.state === "ALERT_STATE_RESOLVED") return [];
  const id = {alert_id: alert.alert_id};
  const key = (word) => `${word}-${alert.alert_id}`;
  const actions = [];
  if (alert.state === "ALERT_STATE_RAISED") {
    actions.push({key: key("acknowledge"), label: "Acknowledge", what: "You say that somebody looks after it.", done: "acknowledged",
      perform: ({actor}) => send("monitoring", "AcknowledgeAlert", {...id, actor})});
  }
  actions.push(alert.muted
    ? {key: key("unmute"), label: "Unmute", what: "The alert tells people again.", done: "unmuted",
      perform: ({actor}) => send("monitoring", "MuteAlert", {...id, actor, seconds: 0})}
    : {key: key("mute"), label: "Mute", seconds: true, what: "The alert tells nobody for a while; it is still measured.", done: "muted",
      perform: ({actor, seconds}) => send("monitoring", "MuteAlert", {...id, actor, seconds})});
  return actions;
}

/** Buttons for `actions` on the thing named `title`. */
export function buttons(actions, title) {
  return actions.length > 0 && el("div", {class: "actions", role: "group", "aria-label": `What you can do with ${title}`},
    actions.map((action) => el("button", {type: "button", class: action.tone, dataset: {key: action.key, action: action.key}, onclick: () => open(action, title)},
      action.label)));
}

// The dialog.

const part = (name) => document.getElementById(`act-${name}`);
let shown = null;  // {action, title, requestId}

// Of random bytes, because crypto.randomUUID is there on secure pages alone.
const freshId = () => `console-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

function tell(problem) {
  part("problem").textContent = problem;
  part("problem").hidden = problem === "";
}

function open(action, title) {
  // One id for each time that somebody asks: sending it again does nothing twice.
  shown = {action, title, requestId: freshId()};
  part("title").textContent = `${action.label}: ${title}`;
  part("what").textContent = action.what;
  part("actor").value = localStorage.getItem("actor") ?? "";
  part("reason").value = "";
  part("reason").required = action.reason === "needed";
  part("reason-row").hidden = !action.reason;
  part("reason-name").textContent = action.reason === "needed" ? "Why" : "Why (if there is something to say)";
  part("seconds-row").hidden = !action.seconds;
  part("yes").textContent = action.label;
  part("yes").className = action.tone ?? "accent";
  tell("");
  document.getElementById("act").showModal();
  (part("actor").value === "" ? part("actor") : action.reason ? part("reason") : part("yes")).focus();
}

async function perform(onDone) {
  const {action, title, requestId} = shown;
  const actor = part("actor").value.trim();
  const reason = part("reason").value.trim();
  if (actor === "") return tell("Say who you are: it is kept with what you do.");
  if (action.reason === "needed" && reason === "") return tell("Say why: it is kept with what you do.");
  localStorage.setItem("actor", actor);
  part("yes").disabled = true;
  const answer = await action.perform({actor, reason, seconds: Number(part("seconds").value), requestId});
  part("yes").disabled = false;
  if (answer.problem) return tell(answer.problem);
  document.getElementById("act").close();
  document.getElementById("told").textContent = `${title}: ${action.done} by ${actor}.`;
  if (action.go) location.hash = action.go(answer.value);
  await onDone();
  // The button may have been built anew meanwhile.
  document.querySelector(`[data-key="${CSS.escape(action.key)}"]`)?.focus();
}

/** To be called once; `onDone` when something has been changed. */
export function listen(onDone) {
  // The page's policy lets no form be sent anywhere.
  part("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!part("yes").disabled) perform(onDone);
  });
  part("no").addEventListener("click", () => document.getElementById("act").close());
}
