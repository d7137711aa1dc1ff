/** As much of ComfyUI's frontend as the painter touches (1.27 to 1.58). */

export interface GraphWidget {
  name: string;
  value: unknown;
  serializeValue?: () => unknown;
}

export interface GraphNode {
  id: number | string;
  comfyClass?: string;
  inputs?: { name: string; link: number | null }[];
  widgets?: GraphWidget[];
  graph?: { setDirtyCanvas?: (foreground: boolean, background: boolean) => void } | null;
  onAdded?: (...given: unknown[]) => void;
  onExecuted?: (output: Record<string, any>) => void;
  getInputNode(slot: number): GraphNode | null;
  addDOMWidget(name: string, type: string, element: HTMLElement, options: Record<string, unknown>): GraphWidget;
}

export interface ChangeTracker {
  undoQueue?: unknown[];
  captureCanvasState?: () => void;
  checkState?: () => void;
}

export interface ComfyApp {
  canvas?: {
    graph?: { getNodeById(id: number | string): GraphNode | null };
    processMouseWheel?: (event: WheelEvent) => void;
  };
  nodeOutputs?: Record<string, { images?: { filename: string; subfolder?: string; type?: string }[] }>;
  extensionManager?: { workflow?: { activeWorkflow?: { changeTracker?: ChangeTracker } } };
  registerExtension(extension: {
    name: string;
    setup?: () => void;
    getCustomWidgets?: () => Record<
      string,
      (node: GraphNode, name: string) => { widget: GraphWidget; minWidth: number; minHeight: number }
    >;
  }): void;
}

export const app: ComfyApp;
