/* What is wrong. */

const EXPIRES_SOON_S = 14 * DAY_S;

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
