/** As much of ComfyUI's requests as the painter makes. */

export interface ComfyApi {
  /** Where the page's server is, without the protocol. */
  api_host?: string;
  api_base?: string;
  addEventListener(type: string, listener: () => void): void;
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
}

export const api: ComfyApi;
