"use strict";
/* Nodes of the document: kept and changed, never made anew, so that focus and selection stay where they
 * are. What others have said, relays and clients, is only ever put in as text. */

const byId = (id) => document.getElementById(id);

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
