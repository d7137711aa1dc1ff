/** As much of ComfyUI's requests as the painter makes. */

export interface ComfyApi {
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
}

export const api: ComfyApi;
