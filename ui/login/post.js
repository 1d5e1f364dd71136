// Posts the answer of an authorization to the client that asked.
document.forms[0]?.submit();
