// What a page's layout says of its texts. A script that comes after this one uses `rectOf` and `color`, too.

const placed = ({ left, top, width, height }) => ({ left: left + scrollX, top: top + scrollY, width, height });
const rectOf = (element) => placed(element.getBoundingClientRect());
const color = (element, property) => getComputedStyle(element)[property];

/** What is left of `line` inside the boxes that it is scrolled in, and whether a box that does not scroll cuts it. */
function visible(line, element) {
  let { left, top, right, bottom } = line;
  let cut = right + scrollX < 1 || bottom + scrollY < 1;
  for (let box = element; box && box !== document.body; box = box.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(box);
    if (overflowX === "visible" && overflowY === "visible") continue;
    const around = box.getBoundingClientRect();
    const scrolls = [overflowX, overflowY].some((overflow) => overflow === "auto" || overflow === "scroll");
    if (!scrolls && (left < around.left - 1 || right > around.right + 1 || top < around.top - 1 || bottom > around.bottom + 1)) {
      cut = true;
    }
    left = Math.max(left, around.left);
    top = Math.max(top, around.top);
    right = Math.min(right, around.right);
    bottom = Math.min(bottom, around.bottom);
  }
  const rest = { left, top, width: Math.max(right - left, 0), height: Math.max(bottom - top, 0) };
  return { rect: placed(rest), cut };
}

function textOf(node) {
  const element = node.parentElement;
  if (node.data.trim() === "" || !element.checkVisibility({ visibilityProperty: true })) return [];
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
  const lines = boxes.map((box) => visible(box, element));
  if (lines.length === 0) return [];
  return [{ text: node.data.trim(), lines: lines.map(({ rect }) => rect), cut: lines.some(({ cut }) => cut) }];
}

/** A field's text is in no node of the document: its place is the field's, inside of border and padding. */
function fieldText(field) {
  const text = field.value || field.placeholder;
  if (!text || !field.checkVisibility({ visibilityProperty: true })) return [];
  const style = getComputedStyle(field);
  const space = (side) => parseFloat(style[`border${side}Width`]) + parseFloat(style[`padding${side}`]);
  const { left, top, width, height } = rectOf(field);
  // Room for the button that empties it.
  const button = field.type === "search" ? parseFloat(style.fontSize) : 0;
  const rect = {
    left: left + space("Left"),
    top: top + space("Top"),
    width: width - space("Left") - space("Right") - button,
    height: height - space("Top") - space("Bottom"),
  };
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.font = style.font;
  const shown = field.selectedOptions?.[0]?.label ?? text;
  return [{ text: shown, lines: [rect], cut: canvas.measureText(shown).width > rect.width + 1 }];
}

function layout() {
  const texts = [];
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.closest("script, style, noscript, select") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  while (nodes.nextNode()) texts.push(...textOf(nodes.currentNode));
  for (const field of document.querySelectorAll("input, select, textarea")) texts.push(...fieldText(field));
  const { scrollWidth, scrollHeight } = document.documentElement;
  return { width: scrollWidth, height: scrollHeight, background: color(document.body, "backgroundColor"), texts };
}
