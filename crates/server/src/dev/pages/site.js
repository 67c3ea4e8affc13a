// A page of a business with the inbox in it: who is signed in stands in the address here, and in a session elsewhere.
const query = new URLSearchParams(location.search);
const person = query.get("person") === "ben" ? "ben" : "ada";
const locale = query.get("locale");
const inbox = document.querySelector("stentor-inbox");
inbox.setAttribute("token-url", `/demo/session?person=${person}`);
inbox.setAttribute("recipient", person);
if (locale) inbox.setAttribute("locale", locale);
// Both devices of the demo are frames of one browser: a phone of its own would share nothing with the laptop.
if (query.get("device") === "phone") {
  inbox.setAttribute("no-share", "");
  inbox.setAttribute("no-cache", "");
}
for (const name of document.querySelectorAll(".who")) name.textContent = person === "ben" ? "Ben" : "Ada";
