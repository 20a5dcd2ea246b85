// @ts-check
/** People's skeletons in OpenPose's way: drawn as training/data/skeletons.py draws them, and found again. */

export { COLOURS, LIMBS, NAMES } from "./openpose.js"
export { drawSkeletons, redrawSkeletons } from "./pose_draw.js"
export { findSkeletons } from "./pose_find.js"
