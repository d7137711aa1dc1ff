/** Lists this extension's templates by their numbers. ComfyUI lists them in the order in which the disk has them. */

import { api } from "../../scripts/api.js";

const FOLDER = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2) ?? "");

const asTheDiskHasThem = api.getWorkflowTemplates?.bind(api);
if (asTheDiskHasThem)
  api.getWorkflowTemplates = async () => {
    const names = await asTheDiskHasThem();
    names[FOLDER]?.sort();
    return names;
  };
