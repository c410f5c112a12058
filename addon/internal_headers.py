"""Headers between the proxy and its application. Clients never see them, and a client's own are overwritten."""

# Proves that a request comes from the proxy: a random value of each start.
SECRET_HEADER = "X-Actions-Secret"
# When the proxy passed the request on, in seconds of the machine's monotonic clock.
ARRIVED_HEADER = "X-Actions-Arrived"
# In a request: the proxy wants the trace of it. In the response: that trace, as JSON.
TRACE_HEADER = "X-Actions-Trace"
