/* Charts. */

const WINDOW_MS = 15 * 60 * 1000;

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
