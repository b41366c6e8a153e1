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
