// @ts-check
// Collects what the editor needs: the maps with their drawings, and the pictures of nodes around this one.

import { api, outputsOf, viewUrl } from "../lib/comfy.js"
import { allNodes, subgraphNodeOf } from "../lib/upstream.js"
import { isStale, patchesOf } from "./drawing.js"
import { toBase64 } from "./model/patch.js"
import { toldBy } from "./run.js"

const MOST_SOURCES = 20
const SUBGRAPH_OUTPUT = -20 // the target id of links to a subgraph's own outputs

/**
 * @param {any} node
 * @param {import("./drawing.js").Told} told
 * @param {import("./drawing.js").Drawing} drawing
 * @returns {Promise<{session: object, lost: string[]}>} `lost`: files of the drawing that are not on the server
 */
export async function sessionOf(node, told, drawing) {
  const patches = new Map(patchesOf(drawing))
  const lost = /** @type {string[]} */ ([])
  const maps = told.maps.map(async (base, place) => {
    const patch = patches.get(place)
    const png = patch && (await pngOf(patch))
    if (patch && !png) lost.push(String(patch.file))
    const shown = patch && png ? { x: patch.x, y: patch.y, png } : null
    return {
      url: viewUrl(base),
      sha256: base.sha256,
      patch: shown,
      stale: !!patch && !!png && isStale(patch, base),
    }
  })
  const loaded = await Promise.all(maps)
  return {
    lost,
    session: {
      maps: loaded,
      index: Math.max(
        0,
        loaded.findIndex((map) => map.stale),
      ),
      palette: told.palette,
      wanted: told.wanted,
      minimalArea: told.minimal_area,
      overlay: latestDownstream(node),
      sources: sourcesAround(node),
      title: node.title,
    },
  }
}

/**
 * The picture of a patch in base64, read from its file if it has one.
 * @param {import("./drawing.js").Patch} patch
 * @returns {Promise<string | null>} null if the file is not on the server
 */
async function pngOf({ png, file }) {
  if (png || !file) return png ?? null
  const answer = await api.fetchApi(`/view?${new URLSearchParams(placeOf(file))}`)
  return answer.ok ? toBase64(new Uint8Array(await answer.arrayBuffer())) : null
}

/** @param {string} file in ComfyUI's input folder */
export function placeOf(file) {
  const cut = file.lastIndexOf("/")
  return { filename: file.slice(cut + 1), subfolder: file.slice(0, Math.max(0, cut)), type: "input" }
}

/**
 * The picture that was made from the map: the picture of the farthest downstream node that shows one.
 * @param {any} node
 * @returns {string | null}
 */
function latestDownstream(node) {
  const pictures = [...downstream(node)].map((each) => picturesOf(each)[0]).filter(Boolean)
  return pictures.at(-1) ?? null
}

/**
 * The nodes that depend on this one, the nearest first, across the edges of subgraphs.
 * @param {any} node
 * @returns {Set<any>}
 */
function downstream(node) {
  const found = new Set()
  let level = new Set(targetsOf(node))
  while (level.size) {
    for (const each of level) found.add(each)
    level = new Set([...level].flatMap(targetsOf).filter((each) => !found.has(each)))
  }
  found.delete(node)
  return found
}

/** @param {any} node @returns {any[]} */
function targetsOf(node) {
  return linksFrom(node).flatMap((link) => entered(node.graph, link))
}

/** @param {any} node @returns {any[]} */
function linksFrom(node) {
  return [...node.graph.links.values()].filter((link) => link.origin_id == node.id)
}

/** The nodes that a link leads to, across subgraphs. @param {any} graph @param {any} link @returns {any[]} */
function entered(graph, link) {
  if (!link) return []
  if (link.target_id == SUBGRAPH_OUTPUT) {
    const outer = subgraphNodeOf(graph)
    const links = outer ? linksFrom(outer).filter((each) => each.origin_slot === link.target_slot) : []
    return links.flatMap((each) => entered(outer.graph, each))
  }
  const target = graph.getNodeById(link.target_id)
  if (!target?.isSubgraphNode?.()) return target ? [target] : []
  const inner = target.subgraph.inputNode.slots[link.target_slot]?.getLinks() ?? []
  return inner.flatMap((/** @type {any} */ each) => entered(target.subgraph, each))
}

/**
 * Pictures of other nodes to paste objects from, those in the node's own graph first.
 * @param {any} node
 * @returns {{name: string, url: string}[]}
 */
function sourcesAround(node) {
  const others = new Set([...node.graph.nodes, ...allNodes()])
  others.delete(node)
  const seen = new Set()
  const sources = [...others].flatMap((other) => {
    const urls = picturesOf(other).filter((url) => !seen.has(url) && seen.add(url))
    return urls.map((url, place) => ({
      url,
      name: urls.length > 1 ? `${other.title} ${place + 1}` : other.title,
    }))
  })
  return sources.slice(0, MOST_SOURCES)
}

/** The addresses of the pictures that a node shows. @param {any} node @returns {string[]} */
function picturesOf(node) {
  const { images = [], animated } = outputsOf(node)
  const maps = toldBy(node)?.maps ?? []
  const files = [...images, ...maps].filter(
    (file) => file?.filename && /\.(png|jpe?g|webp)$/i.test(file.filename),
  )
  if (files.length && !animated?.[0]) return files.map(viewUrl)
  return (node.imgs ?? []).map((/** @type {HTMLImageElement} */ image) => image.src).filter(Boolean)
}
