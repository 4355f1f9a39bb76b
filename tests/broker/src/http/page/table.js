// Tables that are brought up to date in place: a row keeps its element for as long as its key is listed, so that focus,
// a selection and an open <details> outlive every update. All text goes in as text.

const NUMBER = new Intl.NumberFormat("en");

export const number = (value) => NUMBER.format(value);

/** A length of time in its largest unit. */
export function duration(ms) {
  if (ms < 1_000) return "under 1 s";
  if (ms < 120_000) return `${Math.floor(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

/** Sets an element's text, if it is another. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Makes an element with a class and a text, each where there is one. */
export function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Keeps `parent`'s children in step with `items`: made once for each key, removed with it, moved only out of order. */
export class Rows {
  #parent;
  #keyOf;
  #create;
  #rows = new Map();

  /** `create(item)` returns an element and the function that brings it up to date with an item. */
  constructor(parent, keyOf, create) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#create = create;
  }

  render(items) {
    const keyed = new Map(items.map((item) => [this.#keyOf(item), item]));
    for (const [key, row] of this.#rows) {
      if (!keyed.has(key)) {
        row.element.remove();
        this.#rows.delete(key);
      }
    }
    let next = this.#parent.firstElementChild;
    for (const [key, item] of keyed) {
      let row = this.#rows.get(key);
      if (!row) {
        row = this.#create(item);
        this.#rows.set(key, row);
      }
      row.update(item);
      if (row.element === next) {
        next = next.nextElementSibling;
      } else {
        this.#parent.insertBefore(row.element, next);
      }
    }
  }
}

/**
 * A table with a row for each item. A column has a `label`, and `text(item)` or `cell(td)`, which fills the cell once and
 * returns the function that updates it; `kind` is its class. The first column is the row's header. The roles are those the elements have:
 * they say so where a narrow page lays a row out as a card.
 */
export class Table {
  #rows;
  #caption;

  constructor(table, columns, keyOf) {
    this.#caption = table.caption;
    table.setAttribute("role", "table");
    const head = table.createTHead();
    const labels = head.insertRow();
    head.setAttribute("role", "rowgroup");
    labels.setAttribute("role", "row");
    for (const column of columns) {
      const label = make("th", column.kind, column.label);
      label.scope = "col";
      label.setAttribute("role", "columnheader");
      labels.append(label);
    }
    const body = table.createTBody();
    body.setAttribute("role", "rowgroup");
    this.#rows = new Rows(body, keyOf, () => Table.#row(columns));
  }

  static #row(columns) {
    const element = make("tr");
    element.setAttribute("role", "row");
    const updates = columns.map((column, index) => {
      const cell = make(index === 0 ? "th" : "td", column.kind);
      if (index === 0) cell.scope = "row";
      cell.setAttribute("role", index === 0 ? "rowheader" : "cell");
      cell.dataset.label = column.label;
      element.append(cell);
      return column.cell ? column.cell(cell) : (item) => setText(cell, column.text(item));
    });
    return { element, update: (item) => updates.forEach((update) => update(item)) };
  }

  render(items, caption) {
    setText(this.#caption, caption);
    this.#rows.render(items);
  }
}
