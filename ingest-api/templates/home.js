// Submits the address without leaving the page, shows how far its analysis is as the server tells it, and goes to the card when it
// has ended. Without this script the form goes to the card, which keeps itself up to date.
"use strict";

const form = document.getElementById("submit");
const refused = document.getElementById("refused");
const button = form.querySelector("button");

const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Asks, and waits as long as it is told to where the answer is to ask again later.
async function ask(address, options) {
  for (;;) {
    const answer = await fetch(address, options);
    const again = Number(answer.headers.get("retry-after"));
    if (![404, 429].includes(answer.status) || !again || options) {
      return { ok: answer.ok, body: await answer.json() };
    }
    await wait(again);
  }
}

function show(result) {
  document.getElementById("told").textContent = result.message;
  document.getElementById("percent").value = result.progress;
  for (const step of document.querySelectorAll(".steps li")) {
    step.classList.toggle("done", result.progress >= Number(step.dataset.from));
  }
}

// Shows every step of an analysis as the server tells it, then goes to its card.
async function follow(id) {
  const card = `/api/reports/${encodeURIComponent(id)}`;
  document.getElementById("card").href = card;
  document.getElementById("progress").hidden = false;
  const address = `/api/results/${encodeURIComponent(id)}`;
  const { ok, body } = await ask(address);
  if (!ok) throw new Error(body.message);
  show(body);
  const events = new EventSource(`${address}/events`);
  events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  events.addEventListener("done", (event) => {
    show(JSON.parse(event.data));
    events.close();
    location.assign(card);
  });
  // Told nothing more, because too many listen or because it has ended meanwhile: the card keeps itself up to date.
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) location.assign(card);
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  refused.textContent = "";
  try {
    const { ok, body } = await ask("/api/analyze", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ url: form.elements.url.value.trim() }),
    });
    if (!ok) throw new Error(body.message);
    await follow(body.analysis_id);
  } catch (error) {
    refused.textContent =
      error instanceof TypeError ? "The server can't be reached. Try again in a moment." : error.message;
    document.getElementById("progress").hidden = true;
    button.disabled = false;
    form.elements.url.focus();
  }
});

// A page that comes back out of the browser's memory can be used again.
addEventListener("pageshow", () => {
  button.disabled = false;
  document.getElementById("progress").hidden = true;
});
