// The faults that are set, and the form that sets one.

import { Table, make, number, setText } from "/table.js";

const form = document.querySelector("#fault");
const refusal = document.querySelector("#refusal");
const clear = document.querySelector("#clear");

const EFFECTS = {
  latency: (fault) => `answers ${number(fault.latencyMs)} ms later`,
  status: (fault) => `answers ${fault.status}`,
  reset: () => "resets the connection",
  blackhole: () => "never answers",
};

let changed = () => {};

/** Sends a change; a refusal is shown beside the form. */
async function send(method, path, body) {
  const init = { method, signal: AbortSignal.timeout(5_000) };
  if (body) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  try {
    const answer = await fetch(path, init);
    const said = answer.ok ? "" : (await answer.json()).message;
    refuse(said);
  } catch {
    refuse("The broker does not answer: nothing is known to have changed.");
  }
  changed();
}

function refuse(reason) {
  refusal.hidden = reason === "";
  setText(refusal, reason);
}

const faults = new Table(
  document.querySelector("#faults table"),
  [
    { label: "Operation", text: (fault) => fault.operation },
    { label: "Effect", text: (fault) => EFFECTS[fault.kind](fault) },
    { label: "Stage", text: (fault) => fault.stage },
    { label: "Probability", kind: "number", text: (fault) => `${number(100 * fault.probability)} %` },
    {
      label: "Fired",
      kind: "number",
      text: (fault) => (fault.count === null ? number(fault.fired) : `${number(fault.fired)} of ${number(fault.count)}`),
    },
    {
      label: "Switch",
      cell: (cell) => {
        const button = make("button", "", "Switch off");
        button.type = "button";
        cell.append(button);
        let id;
        button.addEventListener("click", () => send("DELETE", `/admin/faults/${id}`));
        return (fault) => {
          id = fault.id;
          button.setAttribute("aria-label", `Switch off: ${fault.operation} ${EFFECTS[fault.kind](fault)}`);
        };
      },
    },
  ],
  (fault) => fault.id,
);

function showKind() {
  const kind = form.elements.kind.value;
  for (const label of form.querySelectorAll("[data-kind]")) {
    const fits = label.dataset.kind === kind;
    label.hidden = !fits;
    // A disabled field is not asked to be valid.
    label.querySelector("input").disabled = !fits;
  }
}

function switchOn(event) {
  event.preventDefault();
  const { operation, kind, status, latencyMs, stage, percent, count } = form.elements;
  const fault = {
    operation: operation.value,
    kind: kind.value,
    stage: stage.value,
    probability: percent.valueAsNumber / 100,
  };
  if (kind.value === "status") fault.status = status.valueAsNumber;
  if (kind.value === "latency") fault.latencyMs = latencyMs.valueAsNumber;
  if (count.value !== "") fault.count = count.valueAsNumber;
  send("POST", "/admin/faults", fault);
}

/** Shows the faults that are set. */
export function showFaults(set) {
  faults.render(set, set.length === 0 ? "No fault is set." : `${number(set.length)} set.`);
  clear.disabled = set.length === 0;
}

/** Makes the form work; `onChange` is called after each change. */
export function startFaults(onChange) {
  changed = onChange;
  form.addEventListener("submit", switchOn);
  form.elements.kind.addEventListener("change", showKind);
  // A browser restores a form's choice when the page is loaded again.
  showKind();
  clear.addEventListener("click", () => send("DELETE", "/admin/faults"));
}
