// @ts-check
// Finds the picture that arrives at an input, as far as the page knows it.

import { app, outputsOf, viewUrl } from "./comfy.js"

const SUBGRAPH_INPUT = -10 // the origin id of links from a subgraph's own inputs
const NEVER = 2
const BYPASS = 4

/**
 * The address of the first picture of the node linked to an input: the picture of Load Image, or one of its last run.
 * Reroutes, bypassed nodes and subgraphs are followed to their source.
 * @param {any} node
 * @param {string} input its name
 * @returns {string | null} null if nothing is linked, or nothing is shown yet
 */
export function upstreamPicture(node, input) {
  const source = sourceOf(node, slotOf(node, input))
  if (!source) return null
  const image = outputsOf(source.node).images?.[0]
  if (image?.filename) return viewUrl(image)
  return source.node.imgs?.[0]?.src ?? null
}

/**
 * The node and output slot that a link comes from.
 * @param {any} node
 * @param {number} slot
 * @returns {{node: any, slot: number} | null}
 */
function sourceOf(node, slot) {
  const link = linkInto(node, slot)
  if (!link) return null
  if (link.origin_id == SUBGRAPH_INPUT) {
    const outer = subgraphNodeOf(node.graph)
    return outer && sourceOf(outer, link.origin_slot)
  }
  const origin = node.graph.getNodeById(link.origin_id)
  return origin && throughPassers(origin, link.origin_slot)
}

/** The link to an input. A subgraph's node would give the one inside. @param {any} node @param {number} slot */
function linkInto(node, slot) {
  const links = [...(node.graph?.links.values() ?? [])]
  return links.find((link) => link.target_id == node.id && link.target_slot === slot)
}

/**
 * Whether an input has a link, itself or as a widget.
 * @param {any} node
 * @param {string} input its name
 */
export function isLinked(node, input) {
  const slot = slotOf(node, input)
  return slot >= 0 && node.isInputConnected(slot)
}

/** @param {any} node @param {string} input */
function slotOf(node, input) {
  return node.inputs?.findIndex((/** @type {any} */ each) => each.name === input) ?? -1
}

/** @param {any} node @param {number} slot @returns {{node: any, slot: number} | null} */
function throughPassers(node, slot) {
  if (node.mode === NEVER) return null
  if (node.mode === BYPASS) return sourceOf(node, bypassedInput(node, slot))
  if (node.type === "Reroute") return sourceOf(node, 0)
  if (!node.isSubgraphNode?.()) return { node, slot }
  const link = node.subgraph.outputNode.slots[slot]?.getLinks()[0]
  const inner = link && node.subgraph.getNodeById(link.origin_id)
  return inner ? throughPassers(inner, link.origin_slot) : null
}

/** The input that a bypassed node passes on: the one at the same slot if its type fits, else the first that fits. */
function bypassedInput(/** @type {any} */ node, /** @type {number} */ slot) {
  const fits = (/** @type {any} */ input) => input?.type === node.outputs[slot]?.type
  return fits(node.inputs[slot]) ? slot : node.inputs.findIndex(fits)
}

/** The first node in the workflow that contains a subgraph. */
export function subgraphNodeOf(/** @type {any} */ subgraph) {
  return allNodes().find((node) => node.isSubgraphNode?.() && node.subgraph === subgraph) ?? null
}

/** All nodes of the workflow, including those inside subgraphs. @returns {any[]} */
export function allNodes() {
  return [app.rootGraph, ...app.rootGraph.subgraphs.values()].flatMap((graph) => graph.nodes)
}

/** The node's key in a prompt: its id after the ids of the subgraph nodes around it. @param {any} node @returns {string} */
export function executionIdOf(node) {
  const outer = node.graph.isRootGraph === false ? subgraphNodeOf(node.graph) : null
  return outer ? `${executionIdOf(outer)}:${node.id}` : String(node.id)
}
