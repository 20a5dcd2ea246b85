// @ts-check
// The pose panel lists the people in a pose map and their joints.

import { element } from "../../lib/dom.js"
import { COLOURS, NAMES } from "../model/pose.js"
import { iconButton, textButton } from "./controls.js"

/**
 * @param {import("./pose_tool.js").PoseTool} tool
 * @param {import("./editor.js").Editor} editor
 * @returns {HTMLElement}
 */
export function posePanel(tool, editor) {
  const panel = element("div", { class: "people" })
  const joint = (person, index) => {
    const shown = !!tool.people[person].points[index]
    const chosen = tool.chosen?.joint === index
    const properties = {
      type: "button",
      class: `chip${shown ? "" : " off"}${chosen ? " on" : ""}`,
      title: shown ? "Hide this joint" : "Show this joint",
      "aria-pressed": shown,
      onclick: () => tool.toggleJoint(person, index),
    }
    const colour = element("i", {
      class: "swatch round",
      style: { background: `rgb(${COLOURS[index].join(" ")})` },
    })
    return element("button", properties, colour, NAMES[index])
  }
  const person = (index) => {
    const chosen = tool.chosen?.person === index
    const name = element(
      "button",
      { type: "button", class: "label", onclick: () => tool.choosePerson(index) },
      `Person ${index + 1}`,
    )
    const remove = iconButton("trash", "Delete this person (Del)", () => tool.deletePerson(index), "quiet")
    const row = element("div", { class: chosen ? "label-row chosen" : "label-row" }, name, remove)
    if (!chosen) return [row]
    return [row, element("div", { class: "chips" }, ...NAMES.map((_, i) => joint(index, i)))]
  }
  const show = () => {
    const people = tool.people.flatMap((_, index) => person(index))
    const none = people.length ? null : element("p", { class: "empty" }, "No person was found on this map.")
    const add = textButton("Add a person", () => tool.addPerson(), { icon: "addPerson" })
    panel.replaceChildren(...(none ? [none] : people), add)
  }
  editor.on("pose", show)
  show()
  return panel
}
