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
