/** As much of ComfyUI's requests as this extension makes. */

export interface ComfyApi {
  /** Where the page's server is, without the protocol. */
  api_host?: string;
  api_base?: string;
  addEventListener(type: string, listener: () => void): void;
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
  /** The names of each extension's templates, by its folder. */
  getWorkflowTemplates?(): Promise<Record<string, string[]>>;
}

export const api: ComfyApi;
