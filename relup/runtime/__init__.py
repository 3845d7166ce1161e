"""A small OTP for Python programs: processes, supervisors, applications, and a code server."""
