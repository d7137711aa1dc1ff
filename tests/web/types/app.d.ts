/** As much of ComfyUI's frontend as the painter touches (1.27 to 1.58). */

export interface GraphWidget {
  name: string;
  value: unknown;
  type?: string;
  element?: HTMLElement;
  widgetId?: unknown;
  onRemove?: () => void;
  serializeValue?: () => unknown;
}

export interface GraphNode {
  id: number | string;
  comfyClass?: string;
  inputs?: { name: string; link: number | null; _widget?: GraphWidget }[];
  widgets?: GraphWidget[];
  properties?: Record<string, unknown>;
  graph?: Graph | null;
  subgraph?: Subgraph;
  isSubgraphNode?(): boolean;
  size?: [number, number];
  computeSize?: () => [number, number];
  setSize?: (size: [number, number]) => void;
  onResize?: (...given: unknown[]) => void;
  onConfigure?: (...given: unknown[]) => void;
  onAdded?: (...given: unknown[]) => void;
  onRemoved?: (...given: unknown[]) => void;
  onConnectionsChange?: (...given: unknown[]) => void;
  onExecuted?: (output: Record<string, any>) => void;
  getInputNode(slot: number): GraphNode | null;
  addCustomWidget?: (widget: GraphWidget) => GraphWidget;
  addDOMWidget(name: string, type: string, element: HTMLElement, options: Record<string, unknown>): GraphWidget;
}

export interface Link {
  origin_id: number | string;
  origin_slot: number;
  target_id: number | string;
}

export interface Graph {
  id?: string;
  isRootGraph?: boolean;
  setDirtyCanvas?: (foreground: boolean, background: boolean) => void;
  getNodeById?(id: number | string): GraphNode | null;
  getLink?: (id: number) => Link | undefined;
}

export interface Subgraph extends Graph {
  inputs?: { name: string; linkIds: number[] }[];
  events?: EventTarget;
  getNodeById(id: number | string): GraphNode | null;
}

export interface ChangeTracker {
  undoQueue?: unknown[];
  captureCanvasState?: () => void;
  checkState?: () => void;
}

export interface Setting {
  id: string;
  category: string[];
  name: string;
  tooltip: string;
  type: string;
  defaultValue: unknown;
  onChange: (value: unknown) => void;
}

export interface ComfyApp {
  graphToPrompt(): Promise<{
    workflow: unknown;
    output: Record<string, { class_type: string; inputs: Record<string, unknown>; _meta?: { title?: string } }>;
  }>;
  canvas?: {
    graph?: { getNodeById(id: number | string): GraphNode | null };
    processMouseWheel?: (event: WheelEvent) => void;
    processMouseDown?: (event: PointerEvent) => void;
  };
  nodeOutputs?: Record<string, { images?: { filename: string; subfolder?: string; type?: string }[] }>;
  extensionManager?: {
    workflow?: { activeWorkflow?: { changeTracker?: ChangeTracker; isTemporary?: boolean; path?: string } };
    command?: { execute(id: string): Promise<void> };
    setting?: { get(id: string): unknown; set(id: string, value: unknown): Promise<void> };
  };
  registerExtension(extension: {
    name: string;
    settings?: Setting[];
    afterConfigureGraph?: () => void;
    nodeCreated?: (node: GraphNode) => void;
    setup?: () => void | Promise<void>;
    getCustomWidgets?: () => Record<
      string,
      (node: GraphNode, name: string) => { widget: GraphWidget; minWidth: number; minHeight: number }
    >;
  }): void;
}

export const app: ComfyApp;
