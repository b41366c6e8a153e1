/* All of it: asks the daemon every two seconds, and shows what it says. */

const REFRESH_MS = 2000;
const DENIED_EVERY = 5; // refreshes: it is much to tell, and changes little
const PATIENCE_MS = 10000; // for an answer

function showHead(status) {
	setText(byId("hostname"), status.hostname);
	setText(byId("process"), `smtplb ${status.version} · up for ${duration(status.uptime_s)} · ${whole(status.sessions)} of ${whole(status.max_sessions)} sessions`);
	setText(byId("footer"), `${status.file}, in force since ${dayAndTime(status.config.since)} · ${plural(status.workers, "worker")}, ${status.engine}, pid ${status.pid} · this page only looks: orders go to smtplb drain, maint, ready and reload`);
}

function show(all) {
	const { status } = all;
	showHead(status);
	showVerdict(status, all.events.events);
	bring(byId("pools"), status.pools, (pool) => pool.name, createPool, (node, pool) => updatePool(status, node, pool));
	listenerTable.show(status.listeners.map((listener) => ({ status, listener })), ({ listener }) => listener.name);
	showHistory(all.history);
	showDenied(all);
	showEvents(all.events);
}

const shell = document.body;
let lastAnswer = null; // when there was one
let failure = null; // of what was asked since then
let paused = false;
let timer = null;
let refreshes = 0;

function showFreshness() {
	shell.classList.toggle("stale", failure !== null);
	const banner = byId("unreachable");
	banner.hidden = failure === null;
	if (failure !== null)
		setText(banner, lastAnswer
			? `smtplb can't be reached (${failure}): what follows is as it was at ${clockTime(lastAnswer)}, ${duration((Date.now() - lastAnswer) / 1000)} ago`
			: `smtplb can't be reached: ${failure}`);
	if (paused)
		setText(byId("freshness"), `Paused at ${lastAnswer ? clockTime(lastAnswer) : "–"}`);
	else if (lastAnswer)
		setText(byId("freshness"), `As of ${clockTime(lastAnswer)}`);
	else
		setText(byId("freshness"), "No answer yet");
}

async function ask(path, signal) {
	const answer = await fetch(path, { signal, cache: "no-store" }).catch(() => {
		throw new Error("no connection");
	});
	if (!answer.ok)
		throw new Error(`${path} is answered with ${answer.status}`);
	return answer.json();
}

async function refresh() {
	const patience = new AbortController();
	const alarm = setTimeout(() => patience.abort(), PATIENCE_MS);
	const names = ["status", "history", "events"];
	if (!latest || refreshes % DENIED_EVERY === 0)
		names.push("denied");
	refreshes++;
	let wrong = null;
	try {
		const answers = await Promise.all(names.map((name) => ask(`/v1/${name}`, patience.signal)));
		latest = { ...latest, ...Object.fromEntries(names.map((name, i) => [name, answers[i]])) };
		show(latest);
		lastAnswer = new Date();
	} catch (error) {
		wrong = patience.signal.aborted ? "it does not answer" : error.message;
	}
	clearTimeout(alarm);
	failure = wrong;
	showFreshness();
	shell.dataset.refreshes = String(refreshes);
}

/* One refresh after the other, as long as somebody looks. */
async function run() {
	clearTimeout(timer);
	timer = null;
	if (paused || document.hidden)
		return;
	timer = -1; // under way
	try {
		await refresh();
	} finally {
		timer = setTimeout(run, REFRESH_MS);
	}
}

function wake() {
	if (timer === null)
		run();
}

byId("pause").addEventListener("click", () => {
	paused = !paused;
	byId("pause").setAttribute("aria-pressed", String(paused));
	showFreshness();
	wake();
});
document.addEventListener("visibilitychange", wake);

byId("charts").append(charts.sessions.node, charts.messages.node, charts.greeting.node, classesFigure);
byId("listeners").append(make("div", { class: "panel" }, listenerTable.node));
byId("denied").append(deniedPanel);
byId("events").append(make("div", { class: "panel events", tabindex: "0", role: "region", "aria-labelledby": "events-title" }, eventTable.node));
run();
