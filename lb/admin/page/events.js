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
	upgrade: (event) => ["upgrade", event.action, event.pid && `pid ${event.pid}`, event.detail].filter(Boolean).join(", "),
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
