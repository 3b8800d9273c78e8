-- Makes the requests of wrk before it starts, and prints the result at the end, as one line of JSON.
--
-- Arguments: method, path, a file with one header (GET) or body (POST) on each line, the number of threads, and
-- `busy` where 503 is an answer to be counted. Each thread takes its own lines, so that no two send the same one.

local threads = {}
local requests, at = {}, 0

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function formatted(method, path, line)
  if method == "POST" then
    return wrk.format(method, path, { ["Content-Type"] = "application/json" }, line)
  end
  local name, value = line:match("^([^:]+):%s*(.*)$")
  return wrk.format(method, path, { [name] = value })
end

local function shuffle(list)
  -- The same order in each run.
  math.randomseed(number + 1)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
end

function init(args)
  local method, path, file, count = args[1], args[2], args[3], tonumber(args[4])
  local line_number = 0
  for line in io.lines(file) do
    if line_number % count == number then
      table.insert(requests, formatted(method, path, line))
    end
    line_number = line_number + 1
  end
  shuffle(requests)
  if args[5] == "busy" then
    busy, refused = 0, 0
    response = function(status)
      if status == 503 then
        busy = busy + 1
      elseif status ~= 200 then
        refused = refused + 1
      end
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local busy, refused = 0, summary.errors.status
  if threads[1]:get("busy") then
    refused = 0
    for _, thread in ipairs(threads) do
      busy = busy + thread:get("busy")
      refused = refused + thread:get("refused")
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"busy":%d,'
      .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), busy,
    errors.connect, errors.read, errors.write, refused, errors.timeout))
end
