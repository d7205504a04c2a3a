-- Sends the next of many prepared requests: a header from each line of a file.
local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local name, value = line:match("^([^:]+): (.*)$")
    requests[#requests + 1] = wrk.format("GET", wrk.path, { [name] = value, Host = "localhost" })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
