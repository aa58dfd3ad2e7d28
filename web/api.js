// The console's own HTTP interface. Each answer is {value} or {problem}.

async function ask(path, seconds, options = {}) {
  try {
    const response = await fetch(path, {signal: AbortSignal.timeout(seconds * 1000), ...options});
    const body = await response.json();
    if (response.ok) return {value: body};
    return {problem: body?.error?.message ?? `status ${response.status}`};
  } catch (error) {
    return {problem: error.name === "TimeoutError" ? `no answer within ${seconds} s` : "the console does not answer"};
  }
}

export function read(service, rpc, fields = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== "" && value !== undefined) query.append(name, value);
  }
  return ask(`/api/v1/${service}/${rpc}?${query}`, 10);
}

/** What changes something: answered to a POST of JSON from this page alone. Longer than the service itself waits. */
export const send = (service, rpc, body) =>
  ask(`/api/v1/${service}/${rpc}`, 40, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});

export const payloadUrl = (sampleId) => `/api/v1/samples/${encodeURIComponent(sampleId)}/payload`;
