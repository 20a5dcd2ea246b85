// @ts-check
// Registers what the pack adds to ComfyUI's page. Each part is an extension of its own:
// https://docs.comfy.org/custom-nodes/js/javascript_overview

import { boxPicker } from "./box_picker/widget.js"
import { app } from "./lib/comfy.js"
import { lastRun } from "./lib/last_run.js"
import { mapEditor } from "./map_editor/host.js"
import { seedPicker } from "./seed_picker/widget.js"

const PARTS = [boxPicker, mapEditor, seedPicker, lastRun]

for (const part of PARTS) app.registerExtension(part)
