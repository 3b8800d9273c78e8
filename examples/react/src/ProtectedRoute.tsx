import { Navigate, Outlet, useLocation } from "react-router";
import { useAuth } from "./auth";

/** Shows its pages to a signed-in user, and leads everybody else to the login and back. This hides nothing: the server guards the data. */
export function ProtectedRoute() {
  const { user } = useAuth();
  const { pathname } = useLocation();
  return user ? <Outlet /> : <Navigate to="/login" state={{ wanted: pathname }} replace />;
}
