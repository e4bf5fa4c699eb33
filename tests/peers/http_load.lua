-- What wrk sends, and how it judges the answers. `response` runs for each, so every answer is checked.

wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{"arguments":{"text":"{\"number\": 1000000, \"words\": [\"one\", \"two\", \"drei ü\"]}"}}]]
local wanted = [["text":"{\"number\": 1000000, \"words\": [\"one\", \"two\", \"drei ü\"]}"]]

wrong = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function response(status, _, body)
  if status ~= 200 or not string.find(body, wanted, 1, true) then
    wrong = wrong + 1
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("wrong")
  end
  io.write(string.format('\n{"requests": %d, "seconds": %.6f, "errors": %d, "p50": %.6f, "p99": %.6f, "worst": %.6f}\n',
    summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
