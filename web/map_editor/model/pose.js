// @ts-check
/** Skeletons of people as OpenPose draws them: this module draws them and finds them again. */

export { COLOURS, LIMBS, NAMES } from "./openpose.js"
export { drawSkeletons, redrawSkeletons } from "./pose_draw.js"
export { findSkeletons } from "./pose_find.js"
