/* What people read. */

const DAY_S = 24 * 3600;

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
