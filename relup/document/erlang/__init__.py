"""OTP's own files, in and out."""
