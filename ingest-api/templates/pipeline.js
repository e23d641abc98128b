// Keeps the pipeline's figures up to date, and draws the rate of each stage since the page was opened.
"use strict";

const EVERY_MS = 2000;
const KEPT = 60;
const rates = new Map();
let passed = 0;

const number = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(1));

function draw(stage, box) {
  const kept = rates.get(stage.stage) ?? [];
  kept.push(stage.per_second ?? 0);
  if (kept.length > KEPT) kept.shift();
  rates.set(stage.stage, kept);
  const most = Math.max(1, ...kept);
  const first = KEPT - kept.length;
  const points = kept.map((rate, i) => `${((first + i) * 120) / (KEPT - 1)},${30 - (rate / most) * 27}`);
  box.querySelector("polyline").setAttribute("points", points.join(" "));
}

function show(flow) {
  for (const stage of flow.stages) {
    const box = document.getElementById(`stage-${stage.stage}`);
    if (!box) continue;
    box.dataset.state = stage.state;
    box.querySelector("[data-told]").textContent = stage.told;
    for (const cell of box.querySelectorAll("[data-key]")) {
      const value = stage[cell.dataset.key];
      cell.textContent = value === null ? "not known" : number(value) + cell.dataset.unit;
    }
    draw(stage, box);
    passed += stage.per_second ?? 0;
  }
  const lost = [];
  if (!flow.store_answers) lost.push("The store does not answer: members and rates are not known.");
  if (!flow.broker_answers) lost.push("The broker does not answer: how far stages are behind is not known.");
  broken(lost.join(" "));
  document.getElementById("looked").textContent = `As of ${new Date(flow.at).toLocaleTimeString()}, looked at every two seconds.`;
  document.getElementById("empty").hidden = passed > 0 || flow.stages.some((stage) => stage.lag > 0);
}

function broken(text) {
  const box = document.getElementById("broken");
  box.textContent = text;
  box.hidden = text === "";
}

async function look() {
  let next = EVERY_MS;
  try {
    const answer = await fetch("/pipeline", { headers: { accept: "application/json" }, cache: "no-store" });
    if (answer.ok) {
      show(await answer.json());
    } else {
      next = Math.max(next, Number(answer.headers.get("retry-after")) * 1000 || 0);
      broken(`The figures below are old: the API answered ${answer.status}.`);
    }
  } catch {
    broken("The figures below are old: the API can't be reached. Trying again.");
  }
  setTimeout(look, document.hidden ? next * 5 : next);
}

look();
