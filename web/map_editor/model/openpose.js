// @ts-check
/** OpenPose's keypoints of a body, as in training/data/skeletons.py. */

/** @typedef {import("./raster.js").Point} Point */

/**
 * A person: its keypoints in pixels, null for one that is not seen, and the radius of the joints in pixels.
 * @typedef {{points: (Point|null)[], radius?: number}} Skeleton
 */

export const NAMES = [
  "nose",
  "neck",
  "right shoulder",
  "right elbow",
  "right wrist",
  "left shoulder",
  "left elbow",
  "left wrist",
  "right hip",
  "right knee",
  "right ankle",
  "left hip",
  "left knee",
  "left ankle",
  "right eye",
  "left eye",
  "right ear",
  "left ear",
]

/** The pairs of keypoints that limbs connect. */
export const LIMBS = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
  [5, 6],
  [6, 7],
  [1, 8],
  [8, 9],
  [9, 10],
  [1, 11],
  [11, 12],
  [12, 13],
  [1, 0],
  [0, 14],
  [14, 16],
  [0, 15],
  [15, 17],
]

/**
 * The colours of the keypoints, and at 60% of the limbs: the hues, 20 degrees apart.
 * @type {[number, number, number][]}
 */
export const COLOURS = [
  [255, 0, 0],
  [255, 85, 0],
  [255, 170, 0],
  [255, 255, 0],
  [170, 255, 0],
  [85, 255, 0],
  [0, 255, 0],
  [0, 255, 85],
  [0, 255, 170],
  [0, 255, 255],
  [0, 170, 255],
  [0, 85, 255],
  [0, 0, 255],
  [85, 0, 255],
  [170, 0, 255],
  [255, 0, 255],
  [255, 0, 170],
  [255, 0, 85],
]
