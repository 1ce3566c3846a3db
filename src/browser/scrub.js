// A copy of the page that may be kept and shown: its structure, and nothing that anybody wrote.
//
// Evaluated in the isolated world for `selectors record`. The page itself is not touched. Every word becomes another
// one of the same shape, drawn at random for this one copy: the same word becomes the same word again, so that an id
// in a link still equals the id in an attribute, and nothing leads back. What is kept word for word is what the pack
// itself says (it is no secret), and attributes that are the page's own vocabulary.
(keep) => {
  "use strict";
  const { words, phrases, textWords, times, keepSides } = keep;
  const KEPT = new Set(["type", "role", "rel", "method", "dir", "lang", "hidden", "disabled", "checked", "selected", "open",
    "tabindex", "colspan", "rowspan", "autocomplete", "contenteditable", "readonly", "required"]);
  const DROPPED = new Set(["SCRIPT", "NOSCRIPT", "TEMPLATE", "STYLE", "LINK", "BASE", "META", "IFRAME", "FRAME", "OBJECT", "EMBED", "SOURCE", "TRACK"]);
  const LAYOUT = ["display", "flex-direction", "justify-content", "align-items", "align-self", "float", "margin-left", "margin-right", "text-align", "width"];
  const VOCABULARY = /^(?:true|false|mixed|polite|assertive|off|on|page|none|both|\d)$/;
  const keptWords = new Set(words), keptPhrases = new Set(phrases), keptInText = new Set(textWords), instead = new Map(times);

  const random = (below) => crypto.getRandomValues(new Uint32Array(1))[0] % below;
  /** Another character of the same kind. */
  const other = (c) => {
    const from = /\p{Nd}/u.test(c) ? "0123456789" : /\p{Lu}/u.test(c) ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ" : "abcdefghijklmnopqrstuvwxyz";
    const choice = from.replace(c, "");
    return choice[random(choice.length)];
  };
  const table = new Map();
  /** The word that stands for this one; what is said only once in a long text is not tied to other texts. */
  const pseudonym = (word, within) => {
    const key = `${within}\u0000${word}`;
    if (!table.has(key)) table.set(key, [...word].map(other).join(""));
    return table.get(key);
  };
  const scrub = (text, kept) => {
    const trimmed = text.trim();
    if (trimmed === "" || keptPhrases.has(trimmed)) return text;
    // Only the time itself is taken over; a message that mentions one is a message.
    for (const [raw, shifted] of instead) {
      if (trimmed.includes(raw)) return text.split(raw).map((part) => scrub(part, kept)).join(shifted);
    }
    const within = trimmed.split(/\s+/u).length > 4 ? trimmed : "";
    return text
      .replace(/[\p{L}\p{M}]+|\p{N}+/gu, (word) => (kept.has(word) ? word : pseudonym(word, within)))
      .replace(/\p{Extended_Pictographic}/gu, (c) => (c.codePointAt(0) < 128 ? c : "●"));
  };
  // A class is mostly the page's vocabulary; but it may hold an id, or a name, and names stand in short texts.
  const personal = new Set();
  const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const found = texts.currentNode.data.toLowerCase().match(/\p{L}{3,}/gu) ?? [];
    if (found.length <= 4) for (const word of found) personal.add(word);
  }
  const scrubToken = (token) => token.replace(/\p{L}+|\p{N}+/gu, (word) =>
    keptWords.has(word) || keptWords.has(token) || !(/\p{N}/u.test(word) || personal.has(word.toLowerCase())) ? word : pseudonym(word, ""));
  const scrubAttribute = (name, value) => {
    if (name === "class") return value.split(/\s+/).map(scrubToken).join(" ");
    if (KEPT.has(name)) return value;
    if (/^data:/i.test(value.trim())) return "data:,";
    if (name.startsWith("aria-") && VOCABULARY.test(value)) return value;
    return scrub(value, keptWords);
  };

  const copyOf = (element, sides) => {
    const copy = document.createElementNS(element.namespaceURI, element.localName);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "style" || name === "srcset" || name === "srcdoc" || name === "nonce" || name === "integrity") continue;
      copy.setAttribute(name, scrubAttribute(name, value));
    }
    // Style sheets stay behind, so what they hide is hidden here.
    const style = getComputedStyle(element);
    if (style.display === "none") copy.setAttribute("style", "display: none !important");
    else if (sides) copy.setAttribute("style", LAYOUT.map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; "));
    if (element.namespaceURI !== "http://www.w3.org/1999/xhtml") return copy;
    for (const child of [...(element.shadowRoot?.childNodes ?? []), ...element.childNodes]) {
      if (child.nodeType === Node.TEXT_NODE) copy.append(scrub(child.data, keptInText));
      else if (child.nodeType === Node.ELEMENT_NODE && !DROPPED.has(child.tagName.toUpperCase())) copy.append(copyOf(child, sides));
    }
    return copy;
  };
  return "<!doctype html>\n" + copyOf(document.documentElement, keepSides).outerHTML.replace(/<head[^>]*>/, '$&<meta charset="utf-8">') + "\n";
}
