"use strict";
/*
 * The status page: asks the daemon every two seconds, and shows what it says. What others have said,
 * relays and clients, is only ever put in as text. Nodes are kept and changed, never made anew, so
 * that focus and selection stay where they are.
 */

const REFRESH_MS = 2000;
const DENIED_EVERY = 5; // refreshes: it is much to tell, and changes little
const PATIENCE_MS = 10000; // for an answer
const WINDOW_MS = 15 * 60 * 1000;
const SOURCES = 6; // that were turned away, shown at first
const DAY_S = 24 * 3600;
const EXPIRES_SOON_S = 14 * DAY_S;

const byId = (id) => document.getElementById(id);

/* Nodes. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function setText(node, text) {
	if (node.textContent !== String(text))
		node.textContent = text;
}

function setClass(node, name) {
	if (node.className !== name)
		node.className = name;
}

/* Brings a node's children in line with the items: makes those that are new by their key, updates
 * all of them, and leaves alone what is in its place. */
function bring(parent, items, keyOf, create, update) {
	const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
	let place = parent.firstElementChild;
	for (const item of items) {
		const key = String(keyOf(item));
		let node = old.get(key);
		if (!node) {
			node = create(item);
			node.dataset.key = key;
		}
		old.delete(key);
		if (node === place)
			place = place.nextElementSibling;
		else
			parent.insertBefore(node, place);
		update(node, item);
	}
	for (const node of old.values())
		node.remove();
}

/* A table of columns {title, name?, parts?, fill(parts, item)}, of which the first one names its row.
 * Where it is narrow its rows are shown as cards, and roles keep it a table for who can't see. */
class Table {
	constructor(columns, caption, name = "") {
		this.columns = columns;
		this.caption = make("caption", {}, ...caption);
		this.body = make("tbody", { role: "rowgroup" });
		const heads = columns.map((column) => make("th", {
			scope: "col", role: "columnheader", class: column.name || "",
		}, column.title));
		this.node = make("table", { role: "table", class: `cards ${name}` }, this.caption,
			make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)), this.body);
	}

	row() {
		const cells = this.columns.map((column, i) => {
			const attributes = { class: column.name || "" };
			return i === 0
				? make("th", { ...attributes, scope: "row", role: "rowheader" })
				: make("td", { ...attributes, role: "cell", "data-label": column.title });
		});
		cells.forEach((cell, i) => cell.append(
			make("div", {}, ...(this.columns[i].parts || [span()]).map((part) => part()))));
		return make("tr", { role: "row" }, ...cells);
	}

	show(items, keyOf, mark = () => "") {
		bring(this.body, items, keyOf, () => this.row(), (row, item) => {
			setClass(row, mark(item));
			this.columns.forEach((column, i) => column.fill([...row.children[i].firstElementChild.children], item));
		});
	}
}

const span = (name = "") => () => make("span", { class: name });

/* What people read. */

function plural(count, noun) {
	return `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function whole(number) {
	return number.toLocaleString("en");
}

function rate(number) {
	if (number >= 99.5 || number === 0)
		return whole(Math.round(number));
	return number.toFixed(number < 0.1 ? 2 : 1);
}

function milliseconds(ms) {
	if (ms === null)
		return "–";
	if (ms >= 1000)
		return `${(ms / 1000).toFixed(1)} s`;
	return ms >= 9.95 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}

function duration(seconds) {
	const s = Math.max(0, Math.round(seconds));
	const [minute, hour] = [60, 3600];
	if (s < 2 * minute)
		return `${s} s`;
	if (s < 2 * hour)
		return `${Math.floor(s / minute)} min`;
	if (s < 2 * DAY_S)
		return `${Math.floor(s / hour)} h`;
	return `${Math.floor(s / DAY_S)} days`;
}

const clockTime = (date) => date.toLocaleTimeString("en", { hour12: false });

function dayAndTime(text) {
	const date = new Date(text);
	const day = date.toDateString() === new Date().toDateString()
		? "" : `${date.toLocaleDateString("en", { month: "short", day: "numeric" })} `;
	return day + clockTime(date);
}

/* Ages are by the daemon's clock, not the browser's. */
const age = (status, text) => (new Date(status.now) - new Date(text)) / 1000;

/* What is wrong. */

const place = (pool, backend) => `${pool.name}/${backend.name}`;
const isUsable = (backend) => backend.up && backend.state === "ready";

function why(backend) {
	return backend.cause === "greetings" ? `greetings: ${backend.detail}` : `probe: ${backend.detail}`;
}

function problemsOfBackend(status, pool, backend) {
	const found = [];
	const where = place(pool, backend);
	if (!backend.up)
		found.push({ level: "bad", tag: "Down", of: where, text: `${where} for ${duration(age(status, backend.since))}, ${why(backend)}` });
	for (const { verb, reply } of backend.troubles)
		found.push({ level: "warn", tag: "Trouble", of: `${where} ${verb}`, text: `${where} answers ${reply} to ${verb} far more often than its peers` });
	if (backend.state !== "ready")
		found.push({ level: "note", tag: backend.state === "drain" ? "Drain" : "Maintenance", of: where, text: `${where} gets no new sessions, as ordered; ${plural(backend.sessions, "session")} open` });
	else if (backend.max_sessions !== null && backend.sessions >= backend.max_sessions)
		found.push({ level: "warn", tag: "Full", of: where, text: `${where} has all its ${whole(backend.max_sessions)} sessions` });
	return found;
}

function problemsOfPool(status, pool) {
	const found = [];
	if (pool.fail_open)
		found.push({ level: "bad", tag: "Fail open", of: pool.name, text: `${pool.name}: no relay is up, and all that are ready are tried` });
	else if (!pool.backends.some(isUsable))
		found.push({ level: "bad", tag: "No relay", of: pool.name, text: `${pool.name}: none may take a session; clients wait, and then get a 421` });
	if (pool.waiting > 0)
		found.push({ level: "warn", tag: "Queue", of: pool.name, text: `${pool.name}: ${plural(pool.waiting, "session")} ${pool.waiting === 1 ? "waits" : "wait"} for a relay` });
	return found.concat(...pool.backends.map((backend) => problemsOfBackend(status, pool, backend)));
}

function problemsOfListener(status, listener) {
	if (!listener.certificate_expires)
		return [];
	const left = -age(status, listener.certificate_expires);
	if (left > EXPIRES_SOON_S)
		return [];
	return [{
		level: left > 0 ? "warn" : "bad",
		tag: "Certificate",
		of: listener.name,
		text: left > 0 ? `of listener ${listener.name} expires in ${duration(left)}` : `of listener ${listener.name} has expired`,
	}];
}

/* The last error of the latest load. */
function refusal(events) {
	const refused = events.find((event) => event.event === "config" && event.action === "refused");
	return refused ? refused.detail : "the log says why";
}

function problemsOf(status, events) {
	const found = [];
	if (status.state === "stopping")
		found.push({ level: "warn", tag: "Stopping", of: "smtplb", text: `${plural(status.sessions, "session")} may finish, none begins` });
	if (status.config.refused)
		found.push({ level: "bad", tag: "Reload refused", of: "smtplb", text: `what is in force since ${dayAndTime(status.config.since)} stays; ${refusal(events)}` });
	if (status.sessions >= 0.9 * status.max_sessions)
		found.push({ level: "warn", tag: "Nearly full", of: "smtplb", text: `${whole(status.sessions)} of ${whole(status.max_sessions)} sessions` });
	found.push(...status.pools.flatMap((pool) => problemsOfPool(status, pool)));
	found.push(...status.listeners.flatMap((listener) => problemsOfListener(status, listener)));
	const order = ["bad", "warn", "note"];
	return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

function verdictOf(status, problems) {
	const backends = status.pools.flatMap((pool) => pool.backends);
	const down = backends.filter((backend) => !backend.up).length;
	const level = problems.length ? problems[0].level : "good";
	if (down === backends.length)
		return [level, "No relay is up"];
	if (down > 0)
		return [level, `${down} of ${plural(backends.length, "relay")} ${down === 1 ? "is" : "are"} down`];
	if (level === "bad" || level === "warn")
		return [level, backends.length === 1 ? "The relay is up, but there is something to see to" : `All ${backends.length} relays are up, but there is something to see to`];
	return [level, backends.length === 1 ? "The relay is up" : `All ${backends.length} relays are up`];
}

let told = null; // of the problems, to who listens

/* What stays of a problem while its figures change. */
const keyOf = (problem) => `${problem.tag}: ${problem.of}`;

function showVerdict(status, events) {
	const problems = problemsOf(status, events);
	const [level, text] = verdictOf(status, problems);
	const verdict = byId("verdict");
	verdict.hidden = false;
	setClass(verdict, `verdict ${level}`);
	setText(byId("verdict-text"), text);
	bring(byId("problems"), problems, keyOf,
		() => make("li", {}, make("span"), make("span")),
		(item, problem) => {
			setClass(item.children[0], `tag ${problem.level}`);
			setText(item.children[0], problem.tag);
			setText(item.children[1], problem.text);
		});
	document.title = `${level === "good" || level === "note" ? "" : "! "}${text} – ${status.hostname}`;
	/* Not each second that one is down for. */
	const news = [text, ...problems.map(keyOf)].join(". ");
	if (told !== null && told !== news)
		setText(byId("live"), news);
	told = news;
}

/* Pools. */

function markOf(backend) {
	if (!backend.up)
		return "is-bad";
	if (backend.troubles.length)
		return "is-warn";
	return backend.state === "ready" ? "is-good" : "is-note";
}

function fillState([measured, ordered, since], { status, backend }) {
	setClass(measured, `tag measured ${backend.up ? "good" : "bad"}`);
	setText(measured, backend.up ? "▲ up" : "▼ down");
	setClass(ordered, `tag ordered ${backend.state === "ready" ? "" : "note"}`);
	setText(ordered, backend.state === "maint" ? "maint" : backend.state);
	setText(since, `for ${duration(age(status, backend.since))}${backend.up ? "" : `, by ${backend.cause === "greetings" ? "its greetings" : "its probe"}`}`);
}

function fillSessions([count, meter, below], { backend }) {
	const max = backend.max_sessions;
	setText(count, max === null ? whole(backend.sessions) : `${whole(backend.sessions)} of ${whole(max)}`);
	meter.hidden = max === null;
	meter.firstElementChild.style.width = `${max ? Math.min(100, (100 * backend.sessions) / max) : 0}%`;
	setText(below, `weight ${backend.weight}${backend.backup ? ", backup" : ""}`);
}

function fillMessages([accepted, others], { backend }) {
	const { accepted: taken, deferred, rejected } = backend.messages;
	setText(accepted, whole(taken));
	setText(others, `${whole(deferred)} deferred, ${whole(rejected)} rejected`);
}

function fillReplies([good, others], { backend }) {
	const replies = backend.recent.replies;
	setText(good, `${whole(replies[2] + replies[3])} good`);
	setText(others, `${whole(replies[4])} 4xx, ${whole(replies[5])} 5xx`);
	setClass(others, `below ${replies[4] + replies[5] > 0 ? "few" : ""}`);
}

function fillGreeting([median, tail], { backend }) {
	const { count, p50_ms: p50, p99_ms: p99 } = backend.recent.greeting;
	setText(median, count ? `median ${milliseconds(p50)}` : "–");
	setText(tail, count ? `p99 ${milliseconds(p99)}` : "no session");
}

function fillProbe([when, detail], { status, backend }) {
	const probe = backend.probe;
	setText(when, probe ? `${probe.ok ? "ok" : "failed"} ${duration(age(status, probe.at))} ago` : backend.cause ? "failed" : "none");
	setText(detail, backend.cause ? backend.detail : probe ? probe.detail : "");
}

const backendColumns = [
	{ title: "Relay", parts: [span(), span("below")],
		fill([name, address], { backend }) {
			setText(name, backend.name);
			setText(address, backend.address);
		} },
	{ title: "State", parts: [span(), () => document.createTextNode(" "), span(), span("below")], fill: fillState },
	{ title: "Sessions", name: "number",
		parts: [span(), () => make("span", { class: "meter" }, make("i")), span("below")], fill: fillSessions },
	{ title: "Messages", name: "number", parts: [span(), span("below")], fill: fillMessages },
	{ title: "Replies, 15 min", name: "number", parts: [span(), span("below")], fill: fillReplies },
	{ title: "Greeting", name: "number", parts: [span(), span("below")], fill: fillGreeting },
	{ title: "Last probe", parts: [span(), span("below")], fill: fillProbe },
];

function createPool() {
	const table = new Table(backendColumns, [make("span"), make("span", { class: "quiet" })]);
	const node = make("section", { class: "pool panel" }, table.node);
	node.table = table;
	return node;
}

function updatePool(status, node, pool) {
	const [name, about] = node.table.caption.children;
	setText(name, `Pool ${pool.name}`);
	node.setAttribute("aria-label", `Pool ${pool.name}`);
	setText(about, [pool.balance, pool.tls === "off" ? "" : `TLS ${pool.tls}`, `${whole(pool.waiting)} waiting`].filter(Boolean).join(" · "));
	node.table.show(pool.backends.map((backend) => ({ status, backend })),
		({ backend }) => `${backend.name} ${backend.address}`, ({ backend }) => markOf(backend));
}

/* Listeners. */

const listenerTable = new Table([
	{ title: "Listener", fill: ([name], { listener }) => setText(name, listener.name) },
	{ title: "Bind", fill: ([binds], { listener }) => setText(binds, listener.bind.join(", ")) },
	{ title: "Pool", fill: ([pool], { listener }) => setText(pool, listener.pool) },
	{ title: "Sessions", name: "number", fill: ([count], { listener }) => setText(count, whole(listener.sessions)) },
	{ title: "Messages", name: "number", parts: [span(), span("below")],
		fill: (parts, { listener }) => fillMessages(parts, { backend: listener }) },
	{ title: "TLS", parts: [span(), span("below")],
		fill([tls, expiry], { status, listener }) {
			const until = listener.certificate_expires;
			setText(tls, listener.tls.replace("_", " "));
			setText(expiry, until ? `certificate for ${duration(-age(status, until))} more` : "");
		} },
], [make("span", { class: "unseen" }, "Listeners")]);

/* Charts. */

const CHART = { width: 600, height: 120 };

/* The next of 1, 2, 5, 10, 20, ... */
function roof(value) {
	if (value <= 0)
		return 1;
	const ten = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 5, 10].find((step) => step * ten >= value) * ten;
}

/* Points [ms ago, value] of one series; those without a value break the line. */
function path(points, top, closed) {
	let text = "", open = false, first = 0, last = 0;
	const close = () => (closed && open ? `L${last} ${CHART.height}L${first} ${CHART.height}Z` : "");
	for (const [ago, value] of points) {
		if (value === null) {
			text += close();
			open = false;
			continue;
		}
		last = (CHART.width * (1 - ago / WINDOW_MS)).toFixed(1);
		const y = (CHART.height * (1 - value / top)).toFixed(1);
		if (!open)
			first = last;
		text += open ? `L${last} ${y}` : `M${last} ${y}h0`; // a point by itself shows, too
		open = true;
	}
	return text + close();
}

class Chart {
	constructor(title, unit, names, format) {
		this.title = title;
		this.names = names;
		this.format = format;
		this.now = make("span");
		this.top = make("span", { class: "top" });
		this.area = draw("path", { class: "area s1" });
		this.lines = names.map((_, i) => draw("path", { class: `series s${i + 1}` }));
		this.svg = draw("svg", { role: "img", viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none" },
			...[1, 2].map((i) => draw("path", { class: "grid", d: `M${(CHART.width * i) / 3} 0V${CHART.height}` })),
			draw("path", { class: "grid", d: `M0 ${CHART.height / 2}H${CHART.width}` }),
			this.area, ...this.lines);
		this.texts = names.map(() => make("span"));
		const keys = names.map((_, i) => make("span", { class: "key" },
			draw("svg", { viewBox: "0 0 20 6", "aria-hidden": "true" }, draw("path", { class: `series s${i + 1}`, d: "M0 3H20" })), this.texts[i]));
		this.node = make("figure", { class: "panel" }, make("h3", {}, title),
			make("p", { class: "now" }, this.now, make("small", {}, ` ${unit}`)),
			make("div", { class: "plot" }, this.svg, this.top),
			make("div", { class: "axis", "aria-hidden": "true" }, ...["15 min ago", "10", "5", "now"].map((text) => make("span", {}, text))),
			make("figcaption", {}, ...keys));
	}

	/* series: an array of values for each name, null for none; ages: of their samples, in ms. */
	show(series, ages) {
		const known = series.map((values) => values.filter((value) => value !== null));
		const top = roof(Math.max(0, ...known.flat()));
		const told = this.names.map((name, i) => {
			const values = known[i];
			if (!values.length)
				return `${name}: none`;
			const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
			return `${name}: mean ${this.format(mean)}, highest ${this.format(Math.max(...values))}`;
		});
		series.forEach((values, i) => {
			const points = values.map((value, j) => [ages[j], value]);
			this.lines[i].setAttribute("d", path(points, top, false));
			if (i === 0)
				this.area.setAttribute("d", path(points, top, true));
			setText(this.texts[i], told[i]);
		});
		const latest = series[0].length ? series[0][series[0].length - 1] : null;
		const now = latest === null ? "–" : this.format(latest);
		setText(this.now, now);
		setText(this.top, this.format(top).replace(".0", ""));
		this.svg.setAttribute("aria-label", `${this.title} over the last 15 minutes. Now ${now}. ${told.join(". ")}.`);
	}
}

const charts = {
	sessions: new Chart("Sessions", "begun a second", ["begun", "denied"], rate),
	messages: new Chart("Messages", "accepted a second", ["accepted", "deferred", "rejected"], rate),
	greeting: new Chart("Greeting latency", "median of 15 minutes", ["median", "p99"], milliseconds),
};

const classNames = { 2: "2xx done", 3: "3xx go on", 4: "4xx later", 5: "5xx never" };
const classes = make("ul", { class: "classes" });
const classesNow = make("span");
const classesFigure = make("figure", { class: "panel" }, make("h3", {}, "Replies of the relays"),
	make("p", { class: "now" }, classesNow, make("small", {}, " in 15 minutes")), classes);

function showClasses(replies) {
	const all = Object.values(replies).reduce((sum, count) => sum + count, 0);
	setText(classesNow, whole(all));
	bring(classes, Object.keys(classNames), (digit) => digit,
		(digit) => make("li", {}, make("span"), make("span", { class: `bar c${digit}` }, make("i")), make("span", { class: "number" })),
		(item, digit) => {
			const share = all ? (100 * replies[digit]) / all : 0;
			setText(item.children[0], classNames[digit]);
			item.children[1].firstElementChild.style.width = `${share}%`;
			setText(item.children[2], whole(replies[digit]));
		});
}

function showHistory(history) {
	const { ms, ...figures } = history.samples;
	let ago = 0;
	const ages = [];
	for (let i = ms.length - 1; i >= 0; i--) {
		ages[i] = ago;
		ago += ms[i];
	}
	const aSecond = (counts) => counts.map((count, i) => (ms[i] ? (1000 * count) / ms[i] : 0));
	charts.sessions.show([aSecond(figures.sessions), aSecond(figures.denied)], ages);
	charts.messages.show([figures.accepted, figures.deferred, figures.rejected].map(aSecond), ages);
	charts.greeting.show([figures.greeting_p50_ms, figures.greeting_p99_ms], ages);
	const { p50_ms: p50, p99_ms: p99 } = history.greeting;
	setText(charts.greeting.now, milliseconds(p50));
	setText(charts.greeting.texts[0], `median ${milliseconds(p50)}`);
	setText(charts.greeting.texts[1], `p99 ${milliseconds(p99)}`);
	showClasses(history.replies);
}

/* Who was turned away. */

function copy(button) {
	const code = button.previousElementSibling;
	getSelection().selectAllChildren(code);
	const done = (text) => {
		setText(button, text);
		setText(byId("live"), text === "Copied" ? `Copied: ${code.textContent}` : "Selected, to be copied by hand");
		setTimeout(() => setText(button, "Copy"), REFRESH_MS);
	};
	if (!navigator.clipboard)
		done("Selected");
	else
		navigator.clipboard.writeText(code.textContent).then(() => done("Copied"), () => done("Selected"));
}

function copyButton() {
	const button = make("button", { type: "button" }, "Copy");
	button.addEventListener("click", () => copy(button));
	return button;
}

function ruleText(rule) {
	if (rule === null)
		return "of a listener that is no more";
	return rule === "default" ? "as no rule lets it in" : `by ${rule}`;
}

const deniedTable = new Table([
	{ title: "Source", parts: [span(), span("below")],
		fill([network, about], { source }) {
			setText(network, source.network);
			setText(about, [source.country, source.asn === null ? null : `AS${source.asn}`].filter(Boolean).join(", "));
		} },
	{ title: "Times", name: "number",
		fill: ([count], { source }) => setText(count, source.count === source.at_least ? whole(source.count) : `${whole(source.at_least)}–${whole(source.count)}`) },
	{ title: "Last", parts: [span("nowrap"), span("below")],
		fill([last, listener], { status, source }) {
			setText(last, `${duration(age(status, source.last))} ago`);
			setText(listener, source.listener);
		} },
	{ title: "To let it in", name: "wide", parts: [() => make("div", { class: "fix" }, make("code"), copyButton()), span("below")],
		fill([fix, rule], { source }) {
			setText(rule, ruleText(source.rule));
			setText(fix.firstElementChild, source.fix || "let in by now");
			fix.lastElementChild.hidden = !source.fix;
			fix.lastElementChild.setAttribute("aria-label", `Copy the line for ${source.network}`);
		} },
], [make("span", { class: "unseen" }, "Sources that were turned away")]);
const deniedEmpty = make("p", { class: "empty" }, "Nobody was turned away.");
const deniedMore = make("button", { type: "button", "aria-expanded": "false" });
const deniedPanel = make("div", { class: "panel" }, deniedTable.node, deniedEmpty, make("p", { class: "more" }, deniedMore));
let latest = null; // of all that was asked for

function showDenied({ status, denied: { denied } }) {
	const all = deniedMore.getAttribute("aria-expanded") === "true";
	deniedTable.node.hidden = denied.length === 0;
	deniedEmpty.hidden = denied.length > 0;
	deniedMore.parentElement.hidden = denied.length <= SOURCES;
	setText(deniedMore, all ? "Show fewer" : `Show all ${whole(denied.length)}`);
	deniedTable.show((all ? denied : denied.slice(0, SOURCES)).map((source) => ({ status, source })),
		({ source }) => `${source.listener} ${source.network}`);
}

deniedMore.addEventListener("click", () => {
	const all = deniedMore.getAttribute("aria-expanded") === "true";
	deniedMore.setAttribute("aria-expanded", String(!all));
	showDenied(latest);
});

/* Events. */

const sentences = {
	health: (event) => `${event.pool}/${event.backend} went ${event.to}, by ${event.cause === "greetings" ? "its greetings" : "its probe"}: ${event.detail}`,
	fail_open: (event) => `${event.pool}: ${event.detail}`,
	trouble: (event) => (event.state === "begins"
		? `${event.pool}/${event.backend} answers ${event.reply} to ${event.verb}: ${whole(event.deferred)} of ${whole(event.replies)}, its peers ${whole(event.peers_deferred)} of ${whole(event.peers_replies)}`
		: `${event.pool}/${event.backend} answers ${event.verb} as its peers do`),
	config: (event) => `${event.action}: ${event.detail}`,
	admin: (event) => `${event.pool}/${event.backend} is ordered to ${event.state}`,
	ready: (event) => `started with ${plural(event.workers, "worker")}, ${event.engine}, pid ${event.pid}`,
	stopping: (event) => `stopping ${event.how}`,
};

function sentence(event) {
	if (sentences[event.event])
		return sentences[event.event](event);
	return Object.entries(event).filter(([key]) => !["ts", "level", "event"].includes(key))
		.map(([key, value]) => `${key} ${value}`).join(", ");
}

const levels = { error: "bad", warning: "warn", info: "note" };

function levelOf(event) {
	if (event.to === "up" || event.state === "ends")
		return "good";
	return event.to === "down" ? "bad" : levels[event.level];
}

const eventTable = new Table([
	{ title: "When", parts: [() => make("time", { class: "nowrap" })],
		fill([time], event) {
			setText(time, dayAndTime(event.ts));
			time.dateTime = event.ts;
		} },
	{ title: "What",
		fill([kind], event) {
			setClass(kind, `tag ${levelOf(event)}`);
			setText(kind, event.event.replace("_", " "));
		} },
	{ title: "Says", name: "wide", fill: ([text], event) => setText(text, sentence(event)) },
], [make("span", { class: "unseen" }, "Events, the latest first")], "lean");

function showEvents({ events }) {
	const seen = new Map(); // two may be alike
	const keyed = events.slice().reverse().map((event) => {
		const text = JSON.stringify(event);
		seen.set(text, (seen.get(text) || 0) + 1);
		return { event, key: `${text} ${seen.get(text)}` };
	}).reverse();
	const keys = new Map(keyed.map(({ event, key }) => [event, key]));
	eventTable.show(events, (event) => keys.get(event));
}

/* All of it. */

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
	} catch (error) {
		wrong = patience.signal.aborted ? "it does not answer" : error.message;
	}
	clearTimeout(alarm);
	if (wrong === null) {
		show(latest);
		lastAnswer = new Date();
	}
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
