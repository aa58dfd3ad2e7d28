// The console's own HTTP interface. Each answer is {value} or {problem}.

export async function read(service, rpc, fields = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== "" && value !== undefined) query.append(name, value);
  }
  try {
    const response = await fetch(`/api/v1/${service}/${rpc}?${query}`, {signal: AbortSignal.timeout(10_000)});
    const body = await response.json();
    if (response.ok) return {value: body};
    return {problem: body?.error?.message ?? `status ${response.status}`};
  } catch (error) {
    return {problem: error.name === "TimeoutError" ? "no answer within 10 s" : "the console does not answer"};
  }
}

export const payloadUrl = (sampleId) => `/api/v1/samples/${encodeURIComponent(sampleId)}/payload`;
