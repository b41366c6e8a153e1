/* Who was turned away. */

const SOURCES = 6; // shown at first

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
